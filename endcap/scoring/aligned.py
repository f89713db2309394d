"""Arrays for compiled code that reads whole registers."""

from typing import Any

import numpy as np
import numpy.typing as npt

_LINE = 64
"""Bytes of a cache line: a register of that width which begins elsewhere is read from two."""


def on_lines(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """A copy in float32, contiguous, that begins with a cache line."""
    room = np.empty(array.size + _LINE // 4, np.float32)
    first = -room.ctypes.data % _LINE // 4
    held = room[first : first + array.size].reshape(array.shape)
    held[...] = array
    return held
