"""What a forecast may look at: past weeks, and of the week to come its prices and promotions."""

import numpy as np

from endcap.pricing.baselines import drawn_log_log, log_log
from endcap.pricing.panel import Array, Panel, Plan

MIN_HISTORY = 8
"""Weeks that must lie before the first forecast."""
PRICE_FEATURES = ("price_to_recent", "price_to_regular", "price_to_category")
"""How dear the plan is; all else the same, demand must not rise with them."""
NAMES = (
    *PRICE_FEATURES,
    "price_to_last",
    "regular_to_recent",
    "category_discount",
    "price_spread",
    "display",
    "mailer",
    "front_page",
    "display_to_usual",
    "mailer_to_usual",
    "log_level",
    "log_price",
    "last",
    "last_2",
    "last_4",
    "last_13",
    "lines_share",
    "at_such_price",
    "at_such_price_weeks",
    "in_mailer",
    "weeks_since_discount",
    "discount_last",
    "mailer_last",
    "category_last",
    "category_4",
    "shop_last",
    "shop_4",
    "noise",
    "zeros",
    "elasticity",
    "log_log",
    "log_log_drawn",
    "log_log_drawn_far",
)
_SHRINK = 2.0
"""Weeks of the item's own level in each mean of few weeks."""
_NEAR = 0.07
"""Prices within 7 % are such a price."""


def level(history: Panel) -> Array:
    """Units a week that an item sold of late (I,): the mean of 8 weeks, drawn to that of all."""
    recent = history.units[:, -8:]
    whole = history.units.mean(axis=1)
    return np.asarray((recent.sum(axis=1) + _SHRINK * whole) / (recent.shape[1] + _SHRINK) + 0.05)


def features(history: Panel, plan: Plan) -> Array:
    """A row an item, `NAMES` its columns: (I, F). Demand is told as ratios to `level`."""
    known = history.carried()
    units, price, regular = known.units, known.price, known.regular_price
    usual = level(history)
    recent = np.median(price[:, -8:], axis=1)
    log_price = np.log(price)
    off = 1 - price / regular
    plan_log = np.log(plan.price)
    groups = _groups(history)
    ratio = units / usual[:, None]
    such = np.abs(log_price - plan_log[:, None]) <= _NEAR
    in_mailer = (known.mailer > 0.3) == (plan.mailer > 0.3)[:, None]
    discounted = off > 0.05
    since = np.where(discounted.any(axis=1), np.argmax(discounted[:, ::-1], axis=1), off.shape[1])
    change = plan_log - np.log(recent)
    category = _by_group(units, groups)
    category_ratio = category / np.maximum(_by_group(usual[:, None], groups), 0.5)
    shop = units.sum(axis=0) / usual.sum()
    columns = {
        "price_to_recent": change,
        "price_to_regular": np.log(plan.price / plan.regular_price),
        "price_to_category": change - _mean_of_group(change, usual, groups),
        "price_to_last": plan_log - log_price[:, -1],
        "regular_to_recent": np.log(plan.regular_price / np.median(regular[:, -8:], axis=1)),
        "category_discount": _mean_of_group(1 - plan.price / plan.regular_price, usual, groups),
        "price_spread": log_price.std(axis=1),
        "display": plan.display,
        "mailer": plan.mailer,
        "front_page": plan.front_page,
        "display_to_usual": plan.display - known.display[:, -8:].mean(axis=1),
        "mailer_to_usual": plan.mailer - known.mailer[:, -8:].mean(axis=1),
        "log_level": np.log(usual),
        "log_price": plan_log,
        "last": ratio[:, -1],
        "last_2": ratio[:, -2:].mean(axis=1),
        "last_4": ratio[:, -4:].mean(axis=1),
        "last_13": ratio[:, -13:].mean(axis=1),
        "lines_share": known.lines[:, -13:].sum(axis=1) / np.maximum(units[:, -13:].sum(axis=1), 1),
        "at_such_price": _mean_where(ratio, such),
        "at_such_price_weeks": such.sum(axis=1),
        "in_mailer": _mean_where(ratio, in_mailer),
        "weeks_since_discount": since,
        "discount_last": off[:, -1],
        "mailer_last": known.mailer[:, -1],
        "category_last": category_ratio[groups, -1],
        "category_4": category_ratio[groups, -4:].mean(axis=1),
        "shop_last": np.full(len(usual), shop[-1]),
        "shop_4": np.full(len(usual), shop[-4:].mean()),
        "noise": ratio[:, -26:].std(axis=1),
        "zeros": (units[:, -26:] == 0).mean(axis=1),
        "elasticity": _slope(ratio, log_price),
        "log_log": np.log((log_log(history, plan, 0) + 0.1) / (usual + 0.1)),
        "log_log_drawn": np.log((drawn_log_log(history, plan, 0.2) + 0.1) / (usual + 0.1)),
        "log_log_drawn_far": np.log((drawn_log_log(history, plan, 2.0) + 0.1) / (usual + 0.1)),
    }
    return np.column_stack([columns[name] for name in NAMES]).astype(float)


def _groups(history: Panel) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    _, groups = np.unique([item.category for item in history.items], return_inverse=True)
    return np.asarray(groups, dtype=np.intp)


def _by_group(values: Array, groups: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Array:
    sums = np.zeros((groups.max() + 1, values.shape[1]))
    np.add.at(sums, groups, values)
    return sums


def _mean_of_group(
    values: Array, weights: Array, groups: np.ndarray[tuple[int], np.dtype[np.intp]]
) -> Array:
    sums = np.bincount(groups, weights * values) / np.bincount(groups, weights)
    return np.asarray(sums[groups])


def _mean_where(ratio: Array, where: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> Array:
    return np.asarray(((ratio * where).sum(axis=1) + _SHRINK) / (where.sum(axis=1) + _SHRINK))


def _slope(ratio: Array, log_price: Array) -> Array:
    """Demand's answer to the item's own past prices, drawn to 0 where they hardly moved."""
    x = log_price - log_price.mean(axis=1, keepdims=True)
    y = np.log(ratio + 0.2)
    return np.asarray(
        (x * (y - y.mean(axis=1, keepdims=True))).sum(axis=1) / ((x**2).sum(axis=1) + 0.3)
    )
