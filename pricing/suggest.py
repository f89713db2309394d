"""Prices to suggest for a category, with the evidence: a function of items alone.

Nothing here knows who buys: the panel has no people, and a suggestion has one price an item.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from endcap.pricing.demand_model import DemandModel, demand_model
from endcap.pricing.elasticity import Advance, Elasticities, ItemEffects, elasticities
from endcap.pricing.forecast import fit
from endcap.pricing.live import SeenDemand, update_level
from endcap.pricing.measures import dispersion
from endcap.pricing.optimise import Problem, optimise
from endcap.pricing.panel import Array, Panel, Plan
from endcap.pricing.rules import Costs, PriceRules

INTERVAL = (0.05, 0.95)
_SPREAD_WEEKS = 4


class Evidence(NamedTuple):
    """What is computed once for a panel and serves all categories: `level` (I,), units in the week
    to come at today's prices and usual promotion; `spread`: a of a variance m + a m^2."""

    panel: Panel
    effects: Elasticities
    weights: Array
    level: Array
    today: Array
    spread: float


def gather_evidence(
    panel: Panel, weights: Array, advance: Advance = lambda what, done, of: None
) -> Evidence:
    """Estimate elasticities and forecast the week to come at the panel's last prices.

    How far a forecast may be off is told from one that was made without the last 4 weeks.
    """
    known = panel.carried()
    prices = known.price[:, -1].copy()
    usual = slice(-4, None)
    plan = Plan(
        prices,
        np.maximum(known.regular_price[:, -1], prices),
        known.display[:, usual].mean(axis=1),
        known.mailer[:, usual].mean(axis=1),
        known.front_page[:, usual].mean(axis=1),
    )
    level = fit(panel, 1).expected(panel, plan)
    spread = _spread(panel)
    return Evidence(panel, elasticities(panel, weights, advance), weights, level, prices, spread)


def with_prices(evidence: Evidence, prices: Mapping[str, float]) -> Evidence:
    """The evidence where items cost something else today than in the panel's last week: the level
    follows by each item's own elasticity."""
    found = [prices.get(item.item_id) for item in evidence.panel.items]
    today = np.array(
        [
            old if new is None or new <= 0 else new
            for new, old in zip(found, evidence.today, strict=True)
        ]
    )
    slopes = np.array([min(0.0, one.shrunk["price"].value) for one in evidence.effects.items])
    level = evidence.level * (today / evidence.today) ** slopes
    return evidence._replace(today=today, level=level)


def suggest(
    evidence: Evidence, category: str, rules: PriceRules, seen: SeenDemand | None = None
) -> dict[str, Any]:
    """Suggested prices of a category with expected units, revenue and margin a week.

    Raises:
        DataError: there is no such category, a ladder names an unknown item, or no prices were
            found in time.
    """
    rows = evidence.panel.places_of(category)
    for ladder in rules.ladders:
        for item_id in ladder.items:
            evidence.panel.row_of(item_id)
    panel = evidence.panel.only(rows)
    level, spread = evidence.level[rows], evidence.spread
    live: dict[str, Any] | None = None
    if seen is not None:
        updated = update_level(level, panel, seen, spread)
        level = updated.level
        live = {
            "from": seen.told,
            "days": round(seen.days, 3),
            "purchases": float(updated.purchases.sum()),
        }
    weights = evidence.weights[np.ix_(rows, rows)]
    today = evidence.today[rows]
    model = demand_model(evidence.effects, rows, today, level, weights, spread)
    costs = Costs(panel, rules)
    known = panel.carried()
    effects = [evidence.effects.items[row] for row in rows]
    problem = Problem(
        panel.items,
        model,
        costs.each,
        known.price.min(axis=1),
        known.price.max(axis=1),
        tuple(bool(one.warning) and rules.hold_unknown for one in effects),
    )
    chosen = optimise(problem, rules)
    draws = _Draws(model, costs.each, chosen.prices)
    return {
        "category": panel.items[0].category,
        "objective": rules.objective,
        "costs": costs.told,
        "live": live,
        "interval": f"{INTERVAL[0]:.0%} to {INTERVAL[1]:.0%} of weeks as they may come",
        "is_optimal": chosen.gap <= 1e-3,
        "today": draws.sums(model.today),
        "suggested": draws.sums(chosen.prices),
        "gain": draws.gain(),
        "items": [
            {
                "item_id": item.item_id,
                "title": item.title,
                "price_today": round(float(today[row]), 2),
                "price": round(float(chosen.prices[row]), 2),
                "change": round(float(chosen.prices[row] / today[row] - 1), 4),
                "cost": round(float(costs.each[row]), 4),
                "elasticity": _interval(effects[row]),
                "own_share": round(effects[row].own_share, 3),
                "today": draws.of_item(row, model.today),
                "suggested": draws.of_item(row, chosen.prices),
                "warning": _warning(effects[row]),
                "note": chosen.notes[row],
            }
            for row, item in enumerate(panel.items)
        ],
    }


class _Draws:
    """Weeks at today's and at the suggested prices, of the same draws of everything uncertain."""

    def __init__(self, model: DemandModel, costs: Array, prices: Array) -> None:
        self._model = model
        self._costs = costs
        self._prices = prices
        self._units = {
            self._key(p): model.drawn_units(p, np.random.default_rng(0))
            for p in (model.today, prices)
        }

    def of_item(self, row: int, prices: Array) -> dict[str, Any]:
        """Units, revenue and margin of an item: expected, and an interval of weeks."""
        units = self._units[self._key(prices)][:, row]
        expected = float(self._model.units(prices)[row])
        price, cost = float(prices[row]), float(self._costs[row])
        return {
            "units": _told(expected, units),
            "revenue": _told(price * expected, price * units),
            "margin": _told((price - cost) * expected, (price - cost) * units),
        }

    def sums(self, prices: Array) -> dict[str, Any]:
        """The same of all items together."""
        units, expected = self._units[self._key(prices)], self._model.units(prices)
        earned = prices - self._costs
        return {
            "units": _told(float(expected.sum()), units.sum(axis=1)),
            "revenue": _told(float(prices @ expected), units @ prices),
            "margin": _told(float(earned @ expected), units @ earned),
        }

    def gain(self) -> dict[str, Any]:
        """Suggested against today, of elasticities that are drawn alone: what the week's chance
        does is the same on both sides."""
        model = self._model
        units = model.drawn_means(self._prices, np.random.default_rng(1))
        expected = model.units(self._prices)
        before, after = model.today - self._costs, self._prices - self._costs
        return {
            "revenue": _told(
                float(self._prices @ expected - model.today @ model.level),
                units @ self._prices - model.today @ model.level,
            ),
            "margin": _told(
                float(after @ expected - before @ model.level),
                units @ after - before @ model.level,
            ),
        }

    def _key(self, prices: Array) -> bytes:
        return np.asarray(prices, dtype=float).tobytes()


def _warning(effects: ItemEffects) -> str:
    if effects.warning:
        return effects.warning
    if effects.shrunk["price"].high >= 0:
        return "the interval of its elasticity holds 0: its demand may not answer to its price"
    return ""


def _interval(effects: ItemEffects) -> dict[str, float]:
    price = effects.shrunk["price"]
    return {
        "value": round(price.value, 3),
        "low": round(price.low, 3),
        "high": round(price.high, 3),
    }


def _told(expected: float, drawn: Array) -> dict[str, float]:
    low, high = np.quantile(drawn, INTERVAL)
    return {
        "expected": round(expected, 2),
        "low": round(float(low), 2),
        "high": round(float(high), 2),
    }


def _spread(panel: Panel) -> float:
    weeks = panel.units.shape[1]
    history = panel.first_weeks(weeks - _SPREAD_WEEKS)
    forecaster = fit(history, 1)
    places = range(weeks - _SPREAD_WEEKS, weeks)
    made = []
    for place in places:
        known = panel.first_weeks(place)
        made.append(forecaster.expected(known, panel.plan(place, known)))
    sold = panel.units[:, weeks - _SPREAD_WEEKS :]
    return dispersion(sold.ravel(), np.column_stack(made).ravel())
