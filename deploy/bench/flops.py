"""How many floating-point operations a batch needs, and how many a second this machine does."""

import statistics
import time
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_SIDE = 512
_TURNS = 15


class Sizes(NamedTuple):
    """Of a model: `dim`, `layers` of the Transformer; items and padding (`rows` of the table);
    `inputs` and `width` of the blend."""

    dim: int
    layers: int
    rows: int
    inputs: int
    width: int


def flops_of(sizes: Sizes, lengths: npt.NDArray[np.integer], scored: int) -> float:
    """Multiplications and additions of the matrix products alone: `lengths` [B] of the sessions,
    `scored` items of all shoppers. What is padding is not counted, whoever computes it.

    A layer takes 24 d^2 an event (4 d^2 of attention's weights and 8 d^2 of the MLP's, twice each)
    and 4 d L an event for attention itself; the mixture of the session's items takes a product with
    d^2 an event, two a session, and 4 d L a session.
    """
    dim = sizes.dim
    events = float(lengths.sum())
    pairs = float((lengths.astype(np.float64) ** 2).sum())
    encoder = sizes.layers * (24 * dim**2 * events + 4 * dim * pairs)
    mixture = 2 * dim**2 * (events + 2 * lengths.size) + 4 * dim * events
    catalogue = 2 * sizes.rows * dim * lengths.size
    blend = 2 * scored * (sizes.inputs * sizes.width + sizes.width**2 + sizes.width)
    return encoder + mixture + catalogue + blend


def sgemm_flops_per_s() -> float:
    """Of this machine on as many cores as numpy may use: the product of two matrices of 512 x 512,
    the median of 15 turns."""
    rng = np.random.default_rng(0)
    one, other = (rng.random((_SIDE, _SIDE), np.float32) for _ in range(2))
    seconds = []
    for _ in range(_TURNS + 1):
        begun = time.perf_counter()
        for _ in range(8):
            one @ other
        seconds.append((time.perf_counter() - begun) / 8)
    return 2.0 * _SIDE**3 / statistics.median(seconds[1:])
