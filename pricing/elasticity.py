"""How demand answers to an item's price, to promotion, and to the prices of its substitutes.

Item by item a Poisson regression on log price (zeros are counts like others: Santos Silva &
Tenreyro, Review of Economics and Statistics 88, 2006, p. 641), with display, mailer, the
substitutes' prices, a trend, and the season of the department as exposure; errors are widened by
Pearson's chi-squared. Then each coefficient is drawn to its category's, and that to all items',
by as much as it is uncertain (empirical Bayes: a random-effects model by Paule and Mandel's
estimate, as in statsmodels' `combine_effects`).
"""

import warnings
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import statsmodels.api as sm
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

from endcap.pricing.panel import Array, Panel

EFFECTS = ("price", "display", "mailer", "rivals")
Z = 1.96
LEAST_MOVE = 0.02
"""A log price that spreads by less says nothing of elasticity."""
LEAST_WEEKS = 3
"""At least so many weeks away from the usual price by 3 %."""
_FEW = 5
"""Items that weigh as much as all others in how much a category's items differ."""
_WIDEST = {"price": 8.0, "display": 6.0, "mailer": 6.0, "rivals": 8.0}
"""A coefficient beyond it is a fit that failed."""
_MOVES = {"price": LEAST_MOVE, "display": 0.01, "mailer": 0.01, "rivals": 0.005}
Advance = Callable[[str, int, int], None]


class Effect(NamedTuple):
    """A coefficient with its standard error: percent of demand by percent of price, or the
    logarithm of demand in all stores against none."""

    value: float
    error: float

    @property
    def low(self) -> float:
        """The end of the 95 % interval."""
        return self.value - Z * self.error

    @property
    def high(self) -> float:
        """The other end."""
        return self.value + Z * self.error


class ItemEffects(NamedTuple):
    """One item: its own estimate where there is one, what is believed after shrinkage, and the
    share of the item's own word in it. `warning`: why nothing can be said of it alone, or ''."""

    item_id: str
    own: Mapping[str, Effect]
    shrunk: Mapping[str, Effect]
    own_share: float
    warning: str


class CategoryEffects(NamedTuple):
    """The mean of a category's items, and how much they differ (`spread`, a standard deviation)."""

    name: str
    items: int
    told_by: int
    """Items whose price moved enough."""
    mean: Mapping[str, Effect]
    spread: Mapping[str, float]


class Elasticities(NamedTuple):
    """Rows of `items` as in the panel."""

    items: tuple[ItemEffects, ...]
    categories: Mapping[str, CategoryEffects]
    everywhere: CategoryEffects


def elasticities(
    panel: Panel, weights: Array, advance: Advance = lambda what, done, of: None
) -> Elasticities:
    """Estimate all items of a panel; `weights`: of substitutes, (I, I)."""
    known = panel.carried()
    log_price = np.log(known.price)
    centred = log_price - log_price.mean(axis=1, keepdims=True)
    rivals = weights @ centred
    season = _season(known)
    own: list[Mapping[str, Effect]] = []
    for row in range(len(known.items)):
        columns = {
            "price": centred[row],
            "display": known.display[row],
            "mailer": known.mailer[row],
            "rivals": rivals[row],
        }
        own.append(_fit(known.units[row], columns, season[row], _prices_moved(centred[row])))
        advance("Items", row + 1, len(known.items))
    return _shrunk(panel, own)


def _prices_moved(log_price: Array) -> bool:
    away = np.abs(log_price - np.median(log_price)) > 0.03
    return bool(log_price.std() >= LEAST_MOVE and away.sum() >= LEAST_WEEKS)


def _season(known: Panel) -> Array:
    """Log of the department's weeks without the item's own category, smoothed: (I, W)."""
    department = np.array([item.department for item in known.items])
    category = np.array([item.category for item in known.items])
    whole = known.units.sum(axis=0)
    found = np.zeros(known.units.shape)
    for name in set(category):
        rows = category == name
        home = department == department[rows][0]
        rest = known.units[home & ~rows].sum(axis=0)
        # A department of one category, or a very small one, goes by the whole shop.
        other = rest if rest.mean() >= 200 else whole - known.units[rows].sum(axis=0)
        if other.mean() > 0:
            found[rows] = np.log((other + 1) / (other.mean() + 1))
    return found


def _fit(
    units: Array, columns: Mapping[str, Array], season: Array, moved: bool
) -> Mapping[str, Effect]:
    """Coefficients of the columns that move; nothing where the fit says nothing."""
    used = {
        name: column
        for name, column in columns.items()
        if column.std() >= _MOVES[name] and (name != "price" or moved)
    }
    weeks = len(units)
    if not used or (units > 0).sum() < 8:
        return {}
    trend = np.linspace(-0.5, 0.5, weeks)
    x = np.column_stack([np.ones(weeks), trend, *used.values()])
    if np.linalg.matrix_rank(x) < x.shape[1]:
        return {}
    with warnings.catch_warnings():
        # What has not converged is told by its errors, and left out below.
        warnings.simplefilter("ignore", PerfectSeparationWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.filterwarnings("ignore", category=sm.tools.sm_exceptions.ConvergenceWarning)
        try:
            found = sm.GLM(units, x, sm.families.Poisson(), offset=season).fit(
                scale="X2", maxiter=50
            )
        except (np.linalg.LinAlgError, ValueError):
            return {}
    if not found.converged:
        return {}
    told = {}
    # Fewer errors than Poisson's are chance.
    widen = np.sqrt(max(1.0, found.scale) / found.scale) if found.scale > 0 else 1.0
    for name, value, error in zip(used, found.params[2:], found.bse[2:] * widen, strict=True):
        if np.isfinite(error) and error > 0 and abs(value) <= _WIDEST[name]:
            told[name] = Effect(float(value), float(error))
    return told


def _shrunk(panel: Panel, own: list[Mapping[str, Effect]]) -> Elasticities:
    rows_of: dict[str, list[Mapping[str, Effect]]] = {}
    for row, item in enumerate(panel.items):
        rows_of.setdefault(item.category, []).append(own[row])
    everywhere, apart = _of_all(own, rows_of)
    categories = {
        name: _of_category(name, rows_of[name], everywhere, apart) for name in sorted(rows_of)
    }
    items = []
    for row, item in enumerate(panel.items):
        group = categories[item.category]
        shrunk = {
            effect: _drawn(own[row].get(effect), group.mean[effect], group.spread[effect])
            for effect in EFFECTS
        }
        price = own[row].get("price")
        share = 0.0
        if price is not None:
            between = group.spread["price"] ** 2
            share = between / (between + price.error**2)
        items.append(ItemEffects(item.item_id, own[row], shrunk, share, _warning(price, group)))
    return Elasticities(tuple(items), categories, everywhere)


def _warning(price: Effect | None, group: CategoryEffects) -> str:
    if price is not None:
        return ""
    if group.told_by:
        return (
            "its price hardly moved: nothing can be said of it alone; this is what is "
            f"known of {group.told_by} other items of its category"
        )
    return "no price of its category moved enough: this is the mean of all items"


def _of_all(
    own: list[Mapping[str, Effect]], rows_of: Mapping[str, list[Mapping[str, Effect]]]
) -> tuple[CategoryEffects, dict[str, float]]:
    """All items together, and how far the means of categories lie apart (a standard deviation)."""
    mean, spread, apart = {}, {}, {}
    for effect in EFFECTS:
        middle, between = _random_effects(_told(own, effect))
        mean[effect] = middle or Effect(0.0, 1.0)
        spread[effect] = float(np.sqrt(between))
        of_categories = [_random_effects(_told(rows, effect))[0] for rows in rows_of.values()]
        _, of_means = _random_effects([found for found in of_categories if found is not None])
        apart[effect] = float(np.sqrt(of_means))
    return CategoryEffects("", len(own), len(_told(own, "price")), mean, spread), apart


def _of_category(
    name: str,
    own: list[Mapping[str, Effect]],
    everywhere: CategoryEffects,
    apart: Mapping[str, float],
) -> CategoryEffects:
    """A category's mean, drawn to that of all items by how uncertain it is."""
    mean, spread = {}, {}
    for effect in EFFECTS:
        told = _told(own, effect)
        _, between = _random_effects(told)
        # Few items say little of how much they differ: then as everywhere.
        weight = len(told) / (len(told) + _FEW)
        between = weight * between + (1 - weight) * everywhere.spread[effect] ** 2
        middle = _middle(told, between) if told else None
        mean[effect] = _drawn(middle, everywhere.mean[effect], apart[effect])
        spread[effect] = float(np.sqrt(between))
    return CategoryEffects(name, len(own), len(_told(own, "price")), mean, spread)


def _told(own: list[Mapping[str, Effect]], effect: str) -> list[Effect]:
    return [found[effect] for found in own if effect in found]


def _random_effects(told: list[Effect]) -> tuple[Effect | None, float]:
    """The mean of effects that differ, and the variance between them."""
    if not told:
        return None, 0.0
    if len(told) == 1:
        return told[0], 0.0
    values = np.array([effect.value for effect in told])
    variances = np.array([effect.error**2 for effect in told])
    found = combine_effects(values, variances, method_re="iterated", atol=1e-4)
    between = max(0.0, float(found.tau2))
    return _middle(told, between), between


def _middle(told: list[Effect], between: float) -> Effect:
    values = np.array([effect.value for effect in told])
    weights = 1 / (np.array([effect.error**2 for effect in told]) + between)
    middle = float((weights * values).sum() / weights.sum())
    return Effect(middle, float(1 / np.sqrt(weights.sum())))


def _drawn(own: Effect | None, group: Effect, spread: float) -> Effect:
    """An estimate drawn to its group: the mean of both, weighted by their precision.

    Without one of its own it is the group's mean, as uncertain as a new item of the group.
    """
    prior = group.error**2 + spread**2
    if own is None:
        return Effect(group.value, float(np.sqrt(prior)))
    if prior <= 0:
        return Effect(group.value, 0.0)
    weight = prior / (prior + own.error**2)
    value = weight * own.value + (1 - weight) * group.value
    return Effect(float(value), float(np.sqrt(weight) * own.error))
