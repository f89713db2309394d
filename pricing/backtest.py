"""Rolling origin: each held-out week is forecast from what was known some weeks before it.

Of the week to come the price and the promotion are known, as planned; nothing else. All
forecasters are called the same way, on the same weeks.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import poisson

from endcap.errors import DataError
from endcap.pricing.baselines import BASELINES
from endcap.pricing.forecast import Training
from endcap.pricing.measures import bias, dispersion, pinball, quantiles_of, wape
from endcap.pricing.panel import Array, Panel

WARM_UP = 2
"""Weeks before the held-out ones that are forecast as well: how much errors spread is told from
forecasts that were made before."""
OURS = "endcap"
"""Our median: what WAPE asks for. The baselines have theirs as well."""
OUR_MEAN = "endcap_mean"
"""What revenue and margin are computed from."""
Advance = Callable[[str, int, int], None]


class Forecasts(NamedTuple):
    """Of one horizon: `units` (I, N) as sold in the held-out weeks, `made` by forecaster, and
    `quantiles` (I, N, 3)."""

    horizon: int
    weeks: tuple[int, ...]
    units: Array
    made: dict[str, Array]
    quantiles: dict[str, Array]


def backtest(
    panel: Panel,
    held_out: int,
    horizons: Sequence[int] = (1, 4),
    vectors: Array | None = None,
    advance: Advance = lambda what, done, of: None,
    weekly: Callable[[int], Array] | None = None,
) -> list[Forecasts]:
    """Forecast the last `held_out` weeks of the panel, each `horizon` weeks ahead. `vectors`,
    `weekly` (of a horizon): further features, as `Training` takes them.

    Raises:
        DataError: too few weeks are left to learn from.
    """
    return [
        _one_horizon(panel, held_out, h, vectors, advance, None if weekly is None else weekly(h))
        for h in horizons
    ]


def summary(panel: Panel, found: Sequence[Forecasts]) -> dict[str, Any]:
    """The figures as JSON: the first horizon at the top, and all of them under `horizons`."""
    parts = {str(one.horizon): _figures(one) for one in found}
    first = found[0]
    top = parts[str(first.horizon)]
    return {
        **top,
        "held_out_weeks": list(first.weeks),
        "items": len(panel.items),
        "item_weeks": int(first.units.size),
        "units": float(first.units.sum()),
        "price_not_seen": _not_seen(panel, len(first.weeks)),
        "horizons": parts,
        "categories": _by_category(panel, first),
    }


def with_old_prices(panel: Panel, held_out: int) -> Panel:
    """The panel as if nobody knew the prices of the held-out weeks: the last known ones stay.

    A price is seen where somebody buys. What that tells of demand is at most what a backtest on
    this panel loses.
    """
    hidden = {name: getattr(panel, name).copy() for name in ("price", "regular_price")}
    for cells in hidden.values():
        cells[:, -held_out - WARM_UP :] = np.nan
    return dataclasses.replace(panel, **hidden)


def _one_horizon(
    panel: Panel,
    held_out: int,
    horizon: int,
    vectors: Array | None,
    advance: Advance,
    weekly: Array | None,
) -> Forecasts:
    weeks = panel.units.shape[1]
    first = weeks - held_out - WARM_UP
    if first < 2 * horizon + 16:
        raise DataError(
            f"{weeks} weeks are too few to hold out {held_out} of them at a horizon of {horizon}: "
            f"{2 * horizon + 16 + held_out + WARM_UP} are needed. Hold out fewer, or wait."
        )
    training = Training(panel, horizon, vectors, weekly)

    made: dict[str, list[Array]] = {name: [] for name in (OURS, OUR_MEAN, *BASELINES)}
    for done, place in enumerate(range(first, weeks)):
        history = panel.first_weeks(place - horizon + 1)
        plan = panel.plan(place, history)
        ours = training.fit(history.units.shape[1], with_median=True)
        made[OURS].append(ours.middle(history, plan))
        made[OUR_MEAN].append(ours.expected(history, plan))
        for name, forecast in BASELINES.items():
            made[name].append(forecast(history, plan, horizon))
        advance(f"Forecasts, horizon {horizon}", done + 1, held_out + WARM_UP)
    units = panel.units[:, first:]
    whole = {name: np.column_stack(columns) for name, columns in made.items()}
    quantiles = {name: _quantiles(units, columns, horizon) for name, columns in whole.items()}
    quantiles[OURS] = _around(quantiles[OUR_MEAN], whole[OURS][:, WARM_UP:])
    return Forecasts(
        horizon,
        panel.weeks[-held_out:],
        units[:, WARM_UP:],
        {name: columns[:, WARM_UP:] for name, columns in whole.items()},
        quantiles,
    )


def _around(quantiles: Array, median: Array) -> Array:
    """Our quantiles: of the mean's negative binomial, with the median that was learned."""
    found = quantiles.copy()
    found[..., 1] = np.clip(median, found[..., 0], found[..., 2])
    return found


def _quantiles(units: Array, forecast: Array, horizon: int) -> Array:
    """Each week's from the errors of weeks that were over at its origin, or of the first one."""
    found = []
    for place in range(WARM_UP, units.shape[1]):
        over = max(1, place - horizon + 1)
        spread = dispersion(units[:, :over].ravel(), forecast[:, :over].ravel())
        found.append(quantiles_of(forecast[:, place], spread))
    return np.stack(found, axis=1)


def _figures(one: Forecasts) -> dict[str, Any]:
    figures = {
        name: {
            "wape": round(wape(one.units, made), 4),
            "pinball": round(pinball(one.units.ravel(), one.quantiles[name].reshape(-1, 3)), 4),
            "bias": round(bias(one.units, made), 4),
        }
        for name, made in one.made.items()
    }
    ours, mean = figures.pop(OURS), figures.pop(OUR_MEAN)
    best = min(figures, key=lambda name: figures[name]["wape"])
    low, high = _uplift_interval(one, best)
    return {
        "wape": ours["wape"],
        "best_baseline": best,
        "best_baseline_wape": figures[best]["wape"],
        "lower_by": round(1 - ours["wape"] / figures[best]["wape"], 4),
        "lower_by_interval": [low, high],
        "pinball": ours["pinball"],
        "bias": ours["bias"],
        "mean": mean,
        "chance_wape": round(_chance(one), 4),
        "inside_10_to_90": round(_inside(one), 4),
        "baselines": figures,
    }


def _chance(one: Forecasts) -> float:
    """The WAPE of who knows each week's true mean, if units were Poisson counts around ours: what
    chance alone leaves. Real shoppers come in less even ways, so it is a bound from below."""
    mean = np.maximum(one.made[OUR_MEAN].ravel(), 0.05)
    middle = poisson.ppf(0.5, mean)
    # E|Y - c| = m - c + 2 (c F(c) - m F(c - 1)) for a whole c and a Poisson Y of mean m.
    off = (
        mean
        - middle
        + 2 * (middle * poisson.cdf(middle, mean) - mean * poisson.cdf(middle - 1, mean))
    )
    return float(off.sum() / mean.sum())


def _inside(one: Forecasts) -> float:
    """The share of item-weeks within the forecast's 10 % and 90 % quantiles; .8 and a little more,
    as counts are whole, is right."""
    bands = one.quantiles[OURS]
    return float(((one.units >= bands[..., 0]) & (one.units <= bands[..., 2])).mean())


def _uplift_interval(one: Forecasts, best: str, draws: int = 500) -> tuple[float, float]:
    """95 % of `lower_by` over items drawn anew: an item's weeks stay together."""
    ours = np.abs(one.units - one.made[OURS]).sum(axis=1)
    theirs = np.abs(one.units - one.made[best]).sum(axis=1)
    drawn = np.random.default_rng(0).integers(0, len(ours), (draws, len(ours)))
    lower = 1 - ours[drawn].sum(axis=1) / theirs[drawn].sum(axis=1)
    low, high = np.quantile(lower, (0.025, 0.975))
    return round(float(low), 4), round(float(high), 4)


def _not_seen(panel: Panel, held_out: int) -> float:
    return round(float(np.isnan(panel.price[:, -held_out:]).mean()), 4)


def _by_category(panel: Panel, one: Forecasts) -> list[dict[str, Any]]:
    """Most units first."""
    names = np.array([item.category for item in panel.items])
    rows = []
    for name in sorted(set(names)):
        where = names == name
        units = one.units[where]
        if not units.sum():
            continue
        figures = {who: round(wape(units, made[where]), 4) for who, made in one.made.items()}
        pins = {
            who: round(pinball(units.ravel(), found[where].reshape(-1, 3)), 4)
            for who, found in one.quantiles.items()
        }
        rows.append(
            {
                "category": name,
                "items": int(where.sum()),
                "units": float(units.sum()),
                "wape": figures.pop(OURS),
                "mean_wape": figures.pop(OUR_MEAN),
                "pinball": pins.pop(OURS),
                "baselines": {who: {"wape": w, "pinball": pins[who]} for who, w in figures.items()},
            }
        )
    return sorted(rows, key=lambda row: -row["units"])
