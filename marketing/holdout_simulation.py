"""Made-up campaigns with a holdout, whose truth is known: how often does the interval hold it?"""

from typing import Any

import numpy as np

from endcap.marketing.arrays import Floats
from endcap.marketing.holdout import achieved

LEAST_COVERED = 0.915
"""Of intervals meant to hold the truth in 95 of 100: three standard errors of 400 runs below."""
_BUY, _RISE = 0.3, 1.25
_Z = 1.959964


def holdout_selftest(seed: int, runs: int = 400, addressed: int = 270) -> dict[str, Any]:
    """Campaigns to 300 shoppers of whom 30 are left alone; every second one moves nobody.

    Three shoppers of ten buy, for lognormal amounts; a message that moves raises these by a
    quarter. `plain_covered`: of the interval by the normal distribution, which is not used.
    """
    rng = np.random.default_rng(seed)
    mean = _BUY * float(np.exp(3.5))
    covered, plain, found_nothing = 0, 0, 0
    for run in range(runs):
        rise = _RISE if run % 2 else 1.0
        sent, left = rise * _spend(rng, addressed), _spend(rng, addressed // 9)
        truth = (rise - 1) * mean
        gain = achieved(sent, left, seed=seed + run)
        covered += gain.low <= truth <= gain.high
        error = np.sqrt(sent.var(ddof=1) / len(sent) + left.var(ddof=1) / len(left))
        plain += int(abs(gain.value - truth) <= _Z * error)
        found_nothing += rise == 1.0 and not gain.low <= 0 <= gain.high
    return {
        "runs": runs,
        "covered": round(covered / runs, 4),
        "plain_covered": round(plain / runs, 4),
        "false_uplifts": round(found_nothing / (runs / 2), 4),
        "is_sound": covered >= LEAST_COVERED * runs,
    }


def _spend(rng: np.random.Generator, size: int) -> Floats:
    return np.asarray((rng.random(size) < _BUY) * np.exp(rng.normal(3, 1, size)))
