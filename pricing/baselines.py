"""What any forecast must beat: naive, seasonal naive, a moving mean, and a log-log regression.

Each knows what ours knows: the history until the origin, and the plan of the week to come.
"""

from collections.abc import Callable, Mapping

import numpy as np

from endcap.pricing.panel import Array, Panel, Plan

Forecast = Callable[[Panel, Plan, int], Array]
"""Expected units (I,) of a history, the plan of the week that is `horizon` weeks after it, and
`horizon`."""
SEASON_WEEKS = 52
SHORT_SEASON_WEEKS = 4
"""A month: the season that can be seen where there is no year of history."""


def naive(history: Panel, plan: Plan, horizon: int) -> Array:
    """The last week again."""
    return history.units[:, -1]


def seasonal_naive(history: Panel, plan: Plan, horizon: int) -> Array:
    """The week a season before the one to come: a year where there is one, else four weeks."""
    weeks = history.units.shape[1]
    season = SEASON_WEEKS if weeks >= SEASON_WEEKS else SHORT_SEASON_WEEKS
    back = season * -(-horizon // season) - horizon
    return history.units[:, weeks - 1 - back]


def moving_mean(history: Panel, plan: Plan, horizon: int) -> Array:
    """The mean of the last 8 weeks."""
    return np.asarray(history.units[:, -8:].mean(axis=1))


def log_log(history: Panel, plan: Plan, horizon: int) -> Array:
    """Item by item, log(units + 1) on log price, display and mailer, by least squares.

    Back from logarithms by Duan's smearing (JASA 78, 1983, p. 605). No more than the item's best
    week: extrapolated, it would lose by far more.
    """
    known = history.carried()
    items, weeks = known.units.shape
    ones = np.ones((items, weeks))
    x = np.stack([ones, np.log(known.price), known.display, known.mailer], axis=2)
    y = np.log(known.units + 1)
    # Where a column does not move, it says nothing: a ridge of 1e-6 gives it the coefficient 0.
    middle = x.mean(axis=1, keepdims=True)
    middle[:, :, 0] = 0
    centred = x - middle
    gram = np.einsum("iwk,iwl->ikl", centred, centred) + 1e-6 * np.eye(4)
    found = np.linalg.solve(gram, np.einsum("iwk,iw->ik", centred, y)[:, :, None])[:, :, 0]
    smear = np.exp(y - np.einsum("iwk,ik->iw", centred, found)).mean(axis=1)
    now = np.column_stack([np.ones(items), np.log(plan.price), plan.display, plan.mailer])
    fitted = np.exp(((now - middle[:, 0]) * found).sum(axis=1)) * smear - 1
    return np.clip(fitted, 0, known.units.max(axis=1))


BASELINES: Mapping[str, Forecast] = {
    "naive": naive,
    "seasonal_naive": seasonal_naive,
    "log_log": log_log,
    "moving_mean": moving_mean,
}
