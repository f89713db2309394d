"""Units at other prices: today's forecast, moved by elasticities and by the rivals' prices."""

from typing import Any, NamedTuple

import numpy as np
from scipy.stats import truncnorm

from endcap.pricing.elasticity import Effect, Elasticities
from endcap.pricing.panel import Array, Rows

DRAWS = 2000


class DemandModel(NamedTuple):
    """Of the items that are priced together, (I,) each, `weights` (I, I).

    units(p) = level * (p / today)^price * exp(rivals * weights @ log(p / today)): constant
    elasticities. `price_told` and `rivals_told` are the estimates before they are cut off at 0,
    with their standard errors. `spread`: a of a week's variance m + a m^2.
    """

    today: Array
    level: Array
    price: Array
    price_told: Array
    price_error: Array
    rivals: Array
    rivals_told: Array
    rivals_error: Array
    weights: Array
    spread: float

    def units(self, prices: Array) -> Array:
        """Expected units (I,) a week at these prices."""
        moved = np.log(prices / self.today)
        return np.asarray(
            self.level * np.exp(self.price * moved + self.rivals * (self.weights @ moved))
        )

    def drawn_units(self, prices: Array, rng: np.random.Generator) -> Array:
        """Weeks as they may come (DRAWS, I): elasticities, level and chance are all drawn."""
        mean = self.drawn_means(prices, rng)
        mean = mean * rng.gamma(1 / self.spread, self.spread, mean.shape)
        return np.asarray(rng.poisson(mean), dtype=float)

    def drawn_means(self, prices: Array, rng: np.random.Generator) -> Array:
        """Expected weeks (DRAWS, I) of elasticities that are drawn: the week's chance left out."""
        moved = np.log(prices / self.today)
        share = rng.uniform(size=(2, DRAWS, len(self.level)))
        own = -_above_zero(-self.price_told, self.price_error).ppf(share[0])
        cross = _above_zero(self.rivals_told, self.rivals_error).ppf(share[1])
        return np.asarray(self.level * np.exp(own * moved + cross * (self.weights @ moved)))


def demand_model(
    found: Elasticities, rows: Rows, today: Array, level: Array, weights: Array, spread: float
) -> DemandModel:
    """Of the panel's `rows`.

    Demand does not rise with the item's own price, nor fall with a substitute's: what is believed
    of an elasticity is cut off at 0, and its mean is that of what is left.
    """
    effects = [found.items[int(row)].shrunk for row in rows]
    own, own_error = _columns([one["price"] for one in effects])
    cross, cross_error = _columns([one["rivals"] for one in effects])
    return DemandModel(
        today,
        level,
        -_above_zero(-own, own_error).mean(),
        own,
        own_error,
        _above_zero(cross, cross_error).mean(),
        cross,
        cross_error,
        weights,
        spread,
    )


def _columns(effects: list[Effect]) -> tuple[Array, Array]:
    return (
        np.array([effect.value for effect in effects]),
        np.maximum(np.array([effect.error for effect in effects]), 1e-3),
    )


def _above_zero(middle: Array, error: Array) -> Any:
    """The normal distributions without what lies below 0."""
    return truncnorm(-middle / error, np.inf, loc=middle, scale=error)
