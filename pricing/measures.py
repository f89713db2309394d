"""How far a forecast was off: WAPE, bias, pinball loss; and how counts spread."""

import numpy as np
from scipy.stats import nbinom

from endcap.pricing.panel import Array

QUANTILES = (0.1, 0.5, 0.9)


def wape(units: Array, forecast: Array) -> float:
    """Sum of absolute errors over the sum of units: 0 is exact.

    >>> wape(np.array([4.0, 6.0]), np.array([5.0, 6.0]))
    0.1
    """
    return float(np.abs(units - forecast).sum() / units.sum()) if units.sum() else float("nan")


def bias(units: Array, forecast: Array) -> float:
    """How much more was forecast than sold, as a share of what was sold."""
    return float((forecast.sum() - units.sum()) / units.sum()) if units.sum() else float("nan")


def pinball(units: Array, quantiles: Array) -> float:
    """Mean pinball loss over `QUANTILES` per unit sold; `quantiles` is (N, 3).

    Koenker & Bassett, Econometrica 46 (1978), p. 33. At one half it is half the WAPE.
    """
    q = np.array(QUANTILES)
    off = units[:, None] - quantiles
    return float(np.maximum(q * off, (q - 1) * off).mean(axis=1).sum() / units.sum())


def dispersion(units: Array, forecast: Array) -> float:
    """`a` of a variance m + a m^2, by moments over weeks that were forecast before they came."""
    mean = np.maximum(forecast, 0.05)
    return float(max(1e-3, ((units - mean) ** 2 - mean).sum() / (mean**2).sum()))


def quantiles_of(forecast: Array, spread: float, wished: tuple[float, ...] = QUANTILES) -> Array:
    """Quantiles of a negative binomial with this mean and dispersion: (N, len(wished))."""
    mean = np.maximum(forecast, 0.05)[:, None]
    size = 1 / spread
    return np.asarray(nbinom.ppf(np.array(wished), size, size / (size + mean)), dtype=float)
