"""How often somebody will come again and what they will spend: BG/NBD and Gamma-Gamma.

Fader, Hardie & Lee, "Counting Your Customers the Easy Way", Marketing Science 24(2), 2005; Fader &
Hardie, "The Gamma-Gamma Model of Monetary Value", 2013. Fitted by maximum likelihood; why not by a
library: docs/decisions/0035. Times are in days.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, hyp2f1

from endcap.errors import DataError

Array = NDArray[np.float64]
_LEAST = 10
_OFF_ONE = 1e-6
"""The expectation is continuous where `a` is 1, its formula is 0 / 0."""
_LOW, _HIGH = 1e-4, 1e5
"""Bounds of every parameter; a fit that ends there has not found one."""


class History(NamedTuple):
    """Of each shopper [N]: `repeats`, visits after the first; `last`, days from the first visit to
    the last; `age`, days from the first visit until now."""

    repeats: Array
    last: Array
    age: Array


class BgNbd(msgspec.Struct, frozen=True):
    """Visits are Poisson with a rate ~ Gamma(`r`, `alpha`); after each, a shopper leaves for good
    with a chance ~ Beta(`a`, `b`)."""

    r: float
    alpha: float
    a: float
    b: float


class GammaGamma(msgspec.Struct, frozen=True):
    """What a visit is worth: Gamma(`p`, nu), nu ~ Gamma(`q`, `v`)."""

    p: float
    q: float
    v: float


def bg_nbd_log_likelihood(model: BgNbd, history: History) -> Array:
    """Of each shopper (2005, eq. 3; in the form that does not overflow)."""
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    x, last, age = history
    common = gammaln(r + x) - gammaln(r) + r * math.log(alpha) + betaln(a, b + x) - betaln(a, b)
    stayed = -(r + x) * np.log(alpha + age)
    left = math.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + last)
    return np.asarray(common + np.where(x > 0, np.logaddexp(stayed, left), stayed))


def fit_bg_nbd(history: History) -> BgNbd:
    """The likeliest parameters.

    Raises:
        DataError: too few shoppers, or hardly any came twice.
    """
    if len(history.age) < _LEAST or (history.repeats > 0).sum() < _LEAST:
        raise DataError(
            f"At least {_LEAST} shoppers who came twice are needed to say who comes again; there "
            f"are {int((history.repeats > 0).sum())}."
        )
    gap = float(np.median(history.age / (history.repeats + 1)))
    found = _fit(
        lambda at: float(bg_nbd_log_likelihood(BgNbd(*at), history).mean()),
        np.array([1.0, max(gap, 0.1), 1.0, 3.0]),
    )
    return BgNbd(*found)


def chance_alive(model: BgNbd, history: History) -> Array:
    """That a shopper has not left for good (Fader, Hardie & Lee, 2008, "Computing P(alive)").

    After one visit alone it is 1 whatever the time: the model lets nobody leave before a repeat.
    """
    x, last, age = history
    odds = (
        model.a
        / (model.b + np.maximum(x, 1) - 1)
        * ((model.alpha + age) / (model.alpha + last)) ** (model.r + x)
    )
    return np.asarray(np.where(x > 0, 1 / (1 + odds), 1.0))


def expected_visits(model: BgNbd, history: History, days: float) -> Array:
    """In the next `days` (2005, eq. 10). By Euler's transformation of the hypergeometric function,
    which neither overflows nor cancels for hundreds of visits."""
    r, alpha, b = model.r, model.alpha, model.b
    a = model.a if abs(model.a - 1) > _OFF_ONE else 1 + _OFF_ONE
    x, _, age = history
    z = days / (alpha + age + days)
    shrunk = (1 - z) ** (a - 1) * hyp2f1(a + b - 1 - r, a - 1, a + b + x - 1, z)
    return np.asarray((a + b + x - 1) / (a - 1) * (1 - shrunk) * chance_alive(model, history))


def chance_away(model: BgNbd, history: History, days: float) -> Array:
    """That nobody is seen in the next `days`: gone for good, or alive with a rate that is
    Gamma(`r` + visits, `alpha` + age) and no visit by chance."""
    x, _, age = history
    none = ((model.alpha + age) / (model.alpha + age + days)) ** (model.r + x)
    return np.asarray(1 - chance_alive(model, history) * (1 - none))


def longest_gap(model: BgNbd, repeats: int, last: float, chance: float) -> float:
    """Days after the last visit that a shopper who is still there lets pass with `chance` only.

    >>> round(longest_gap(BgNbd(1.5, 12, 1, 9), 12, 90, 0.1), 1)
    19.0
    """
    return float((model.alpha + last) * (chance ** (-1 / (model.r + repeats)) - 1))


def fit_gamma_gamma(repeats: Array, spend: Array) -> GammaGamma:
    """From shoppers with at least one repeat visit, `spend` [N] a visit (2013, eq. 1a).

    Raises:
        DataError: too few shoppers, or a spend that is not positive.
    """
    if len(repeats) < _LEAST or spend.min() <= 0:
        raise DataError(
            f"At least {_LEAST} shoppers who came twice and paid something are needed to say what "
            "a visit is worth."
        )

    def likelihood(at: Array) -> float:
        p, q, v = at
        return float(
            (
                gammaln(p * repeats + q)
                - gammaln(p * repeats)
                - gammaln(q)
                + q * np.log(v)
                + (p * repeats - 1) * np.log(spend)
                + p * repeats * np.log(repeats)
                - (p * repeats + q) * np.log(repeats * spend + v)
            ).mean()
        )

    return GammaGamma(*_fit(likelihood, np.array([2.0, 3.0, float(np.median(spend))])))


def expected_spend(model: GammaGamma, repeats: Array, spend: Array) -> Array:
    """A visit, from the average of `repeats` visits: the fewer, the nearer to everybody's (2013,
    eq. 5)."""
    p, q, v = model.p, model.q, model.v
    return np.asarray(p * (v + repeats * spend) / (p * repeats + q - 1))


def _fit(likelihood: Callable[[Array], float], start: Array) -> list[float]:
    """Over the logarithms of the parameters: all are positive."""
    bounds = [(math.log(_LOW), math.log(_HIGH))] * len(start)
    found = minimize(
        lambda at: -likelihood(np.exp(at)), np.log(start), method="L-BFGS-B", bounds=bounds
    )
    values = np.exp(found.x)
    if not np.isfinite(found.fun):
        raise DataError(
            "The purchases fit no model of repeat visits; look for wrong times or prices in them."
        )
    return [float(each) for each in values]
