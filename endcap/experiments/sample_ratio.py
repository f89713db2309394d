"""Whether as many shoppers came into each variant as its share says.

Where they did not, something loses or doubles shoppers in one of the variants, and no uplift can
be believed (Fabijan et al., KDD 2019).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

ALARM = 0.001
"""Below this p, chance is no explanation: one experiment of a thousand that are sound."""


class SampleRatio(NamedTuple):
    """Pearson's chi-squared test of the numbers of shoppers against their shares."""

    chi_squared: float
    degrees: int
    p_value: float

    @property
    def is_sound(self) -> bool:
        """False: do not believe the uplift before it is known what lost the shoppers."""
        return self.p_value >= ALARM


def sample_ratio(found: Sequence[int], shares: Sequence[float]) -> SampleRatio:
    """`found`: shoppers of each variant; `shares`: above 0, of any sum.

    >>> sample_ratio([5000, 5100], [0.5, 0.5]).is_sound, sample_ratio([5000, 5500], [1, 1]).is_sound
    (True, False)
    """
    whole, parts = sum(found), sum(shares)
    degrees = len(found) - 1
    if not whole or degrees < 1:
        return SampleRatio(0.0, max(0, degrees), 1.0)
    expected = [whole * share / parts for share in shares]
    distance = sum((n - e) ** 2 / e for n, e in zip(found, expected, strict=True))
    return SampleRatio(distance, degrees, chi_squared_tail(distance, degrees))


def chi_squared_tail(distance: float, degrees: int) -> float:
    """The probability of a chi-squared number above `distance`.

    In closed form for whole degrees: Q(a + 1, x) = Q(a, x) + x^a e^-x / gamma(a + 1), from
    Q(1/2, x) = erfc(sqrt(x)) and Q(1, x) = e^-x, with a = degrees / 2 and x = distance / 2.
    """
    if distance <= 0:
        return 1.0
    x = distance / 2
    a, tail = (1.0, math.exp(-x)) if degrees % 2 == 0 else (0.5, math.erfc(math.sqrt(x)))
    while a < degrees / 2:
        tail += math.exp(a * math.log(x) - x - math.lgamma(a + 1))
        a += 1
    return min(1.0, tail)
