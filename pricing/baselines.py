"""What any forecast must beat: naive, seasonal naive, means of late, log-log regressions.

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


def moving_median(history: Panel, plan: Plan, horizon: int) -> Array:
    """The median of the last 8 weeks."""
    return np.asarray(np.median(history.units[:, -8:], axis=1))


def log_log_median(history: Panel, plan: Plan, horizon: int) -> Array:
    """The log-log regression back from logarithms without smearing: the median, not the mean."""
    return np.clip(_log_log(history, plan, 1e-6, smeared=False), 0, history.units.max(axis=1))


def log_log(history: Panel, plan: Plan, horizon: int) -> Array:
    """Item by item, log(units + 1) on log price, display and mailer, by least squares.

    Back from logarithms by Duan's smearing (JASA 78, 1983, p. 605). No more than the item's best
    week: extrapolated, it would lose by far more.
    """
    return np.clip(_log_log(history, plan, 1e-6), 0, history.units.max(axis=1))


def drawn_log_log(history: Panel, plan: Plan, strength: float) -> Array:
    """The same regression with its three slopes drawn to 0 by a ridge of `strength`: no baseline,
    but something that a forecast may look at."""
    return np.clip(_log_log(history, plan, strength), 0, 2 * history.units.max(axis=1))


def _log_log(history: Panel, plan: Plan, ridge: float, smeared: bool = True) -> Array:
    known = history.carried()
    x = np.stack([np.log(known.price), known.display, known.mailer], axis=2)
    y = np.log(known.units + 1)
    middle, mean = x.mean(axis=1), y.mean(axis=1)
    x = x - middle[:, None, :]
    y = y - mean[:, None]
    # Where a column does not move, it says nothing: the ridge gives it the coefficient 0.
    gram = np.einsum("iwk,iwl->ikl", x, x) + ridge * np.eye(3)
    found = np.linalg.solve(gram, np.einsum("iwk,iw->ik", x, y)[:, :, None])[:, :, 0]
    smear = np.exp(y - np.einsum("iwk,ik->iw", x, found)).mean(axis=1) if smeared else 1.0
    now = np.column_stack([np.log(plan.price), plan.display, plan.mailer]) - middle
    return np.asarray(np.exp(mean + (now * found).sum(axis=1)) * smear - 1)


BASELINES: Mapping[str, Forecast] = {
    "naive": naive,
    "seasonal_naive": seasonal_naive,
    "log_log": log_log,
    "log_log_median": log_log_median,
    "moving_mean": moving_mean,
    "moving_median": moving_median,
}
