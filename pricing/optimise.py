"""Prices of a category from a grid of allowed ones: an integer programme, solved to optimality.

Each item takes one of its candidates (scipy's `milp`, HiGHS). What a price does to substitutes is
valued at their units and margins of today, so the value of a candidate does not hang on the others:
the programme is linear. What is told of the result is computed by the whole model.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_array

from endcap.errors import DataError
from endcap.pricing.demand_model import DemandModel
from endcap.pricing.panel import Array, Item, Rows
from endcap.pricing.rules import PriceRules

TIME_LIMIT_S = 30.0
_EPS = 1e-9


class Problem(NamedTuple):
    """Items that are priced together; arrays (I,). `lowest` and `highest`: prices ever seen;
    `held`: must stay."""

    items: tuple[Item, ...]
    model: DemandModel
    costs: Array
    lowest: Array
    highest: Array
    held: tuple[bool, ...]


class Chosen(NamedTuple):
    """Prices (I,), and notes by item: why it was not free."""

    prices: Array
    notes: tuple[str, ...]
    gap: float
    """Between the value found and its bound: 0 is optimal."""


def optimise(problem: Problem, rules: PriceRules) -> Chosen:
    """The best allowed prices.

    A ladder that today's prices break already need not be mended at once; it must not get worse. A
    floor goes before ladders: an item that stands below its own leaves them for this time, and says
    so. With these two, today's prices (or floors) always are a solution.

    Raises:
        DataError: no solution was found in time.
    """
    candidates, notes = zip(
        *(_candidates(problem, row, rules) for row in range(len(problem.items))), strict=True
    )
    starts = np.cumsum([0, *(len(one) for one in candidates)])
    number = int(starts[-1])
    value = np.concatenate(
        [_value(problem, row, candidates[row], rules) for row in range(len(problem.items))]
    )
    prices = np.concatenate(candidates)
    table, lower, upper = _constraints(problem, rules, prices, starts)
    found = milp(
        -value,
        constraints=LinearConstraint(table, lower, upper),
        integrality=np.ones(number),
        bounds=Bounds(0, 1),
        options={"time_limit": TIME_LIMIT_S, "mip_rel_gap": 1e-4},
    )
    if found.x is None:
        raise DataError(
            f"No prices were found within {TIME_LIMIT_S:.0f} s ({found.message}). Name fewer "
            "endings or a smaller largest_change."
        )
    chosen = [int(np.argmax(found.x[a:b])) for a, b in pairwise(starts)]
    best = np.array([one[at] for one, at in zip(candidates, chosen, strict=True)])
    return Chosen(best, notes, float(found.mip_gap or 0.0))


def _candidates(problem: Problem, row: int, rules: PriceRules) -> tuple[Array, str]:
    """Allowed prices of an item, today's among them unless it lies below the floor."""
    today = float(problem.model.today[row])
    if problem.held[row]:
        return np.array([today]), "held: its price hardly ever moved"
    floor = float(problem.costs[row]) / (1 - rules.least_margin)
    low = max(today * (1 - rules.largest_change), problem.lowest[row] * (1 - rules.beyond_seen))
    high = min(today * (1 + rules.largest_change), problem.highest[row] * (1 + rules.beyond_seen))
    cents = np.arange(int(np.ceil(low * 100 - _EPS)), int(np.floor(high * 100 + _EPS)) + 1)
    moduli = [(10 if ending < 10 else 100, ending) for ending in rules.endings]
    ends = np.zeros(len(cents), dtype=bool)
    for modulus, ending in moduli:
        ends |= cents % modulus == ending
    found = cents[ends & (cents > 0)] / 100
    allowed = found[found >= floor - _EPS]
    if today >= floor - _EPS:
        return np.union1d(allowed, [today]), ""
    if len(allowed):
        return allowed, "today's price is below its floor: it moves without its ladders"
    return np.array([today]), "held: below its floor, and no allowed price reaches it"


def _value(problem: Problem, row: int, candidates: Array, rules: PriceRules) -> Array:
    model = problem.model
    moved = np.log(candidates / model.today[row])
    units = model.level[row] * np.exp(model.price[row] * moved)
    counts_costs = rules.objective == "margin"
    earned = candidates - problem.costs[row] * counts_costs
    others = (model.today - problem.costs * counts_costs) * model.level
    spill = float((others * model.rivals * model.weights[:, row]).sum())
    return np.asarray(earned * units + spill * moved)


def _constraints(
    problem: Problem, rules: PriceRules, prices: Array, starts: Rows
) -> tuple[lil_array, Array, Array]:
    """One candidate an item, ladders, equal sizes, and how many prices may change."""
    size = len(problem.items)
    today = problem.model.today
    must_move = {
        row
        for row, (a, b) in enumerate(pairwise(starts))
        if not np.any(np.abs(prices[a:b] - today[row]) <= _EPS)
    }
    every = [*_family_pairs(problem, rules), *_ladder_pairs(problem, rules)]
    pairs = [pair for pair in every if must_move.isdisjoint({pair[0], pair[2]})]
    table = lil_array((size + len(pairs) + (rules.changes is not None), len(prices)))
    lower, upper = np.ones(size), np.ones(size)
    for row in range(size):
        table[row, starts[row] : starts[row + 1]] = 1
    low, high = [], []
    for at, (one, factor, other, least, most) in enumerate(pairs, start=size):
        own, theirs = slice(starts[one], starts[one + 1]), slice(starts[other], starts[other + 1])
        table[at, own] = factor * prices[own]
        table[at, theirs] = -prices[theirs]
        low.append(least)
        high.append(most)
    if rules.changes is not None:
        before = np.repeat(today, np.diff(starts))
        table[table.shape[0] - 1, :] = (np.abs(prices - before) > _EPS).astype(float)
        # Those that stand below their floor move, whatever was wished.
        low.append(0.0)
        high.append(float(max(rules.changes, len(must_move))))
    return table, np.concatenate([lower, low]), np.concatenate([upper, high])


_Pair = tuple[int, float, int, float, float]
"""factor * price of one - price of the other lies between two numbers."""


def _family_pairs(problem: Problem, rules: PriceRules) -> list[_Pair]:
    families: dict[str, list[int]] = {}
    for row, item in enumerate(problem.items):
        if item.family and item.size > 0:
            families.setdefault(item.family, []).append(row)
    today = problem.model.today
    found: list[_Pair] = []
    for rows in families.values():
        ordered = sorted(rows, key=lambda row: (problem.items[row].size, today[row]))
        for small, large in pairwise(ordered):
            a, b = problem.items[small].size, problem.items[large].size
            if a == b:
                alike = today[small] == today[large] and problem.held[small] == problem.held[large]
                if rules.same_sizes and alike:
                    found.append((small, 1.0, large, 0.0, 0.0))
            elif rules.size_ladders:
                found.append(_at_least(today, large, 1.0, small))
                found.append(_at_least(today, small, b / a, large))
    return found


def _ladder_pairs(problem: Problem, rules: PriceRules) -> list[_Pair]:
    row_of = {item.item_id: row for row, item in enumerate(problem.items)}
    found = []
    for ladder in rules.ladders:
        here = [row_of[item_id] for item_id in ladder.items if item_id in row_of]
        for cheaper, dearer in pairwise(here):
            found.append(_at_least(problem.model.today, dearer, 1 / (1 + ladder.gap), cheaper))
    return found


def _at_least(today: Array, one: int, factor: float, other: int) -> _Pair:
    """factor * price(one) >= price(other), or no worse than it is today."""
    return one, factor, other, min(0.0, float(factor * today[one] - today[other])) - _EPS, np.inf
