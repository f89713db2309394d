"""Segments that a report tells apart: when somebody last came, and what they spend in 28 days."""

import numpy as np
from numpy.typing import NDArray

from endcap.marketing.arrays import Floats
from endcap.marketing.panel import FEATURES

_SPENT = np.log1p(np.array([25.0, 150.0]))


def segment_names(x: Floats) -> NDArray[np.str_]:
    """Of each row of features [N, `FEATURES`], as they are before a message: what comes after it
    may not say in which segment somebody is counted."""
    recency = x[:, FEATURES.index("recency")]
    spend = x[:, FEATURES.index("spend_28")]
    when = np.select([recency <= 7, recency <= 28], ["this week", "this month"], "longer ago")
    how_much = np.select([spend <= _SPENT[0], spend <= _SPENT[1]], ["low", "middle"], "high")
    return np.array([f"{a}, {b} spend" for a, b in zip(when, how_much, strict=True)])
