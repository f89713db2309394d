"""How far training has come."""

from typing import NamedTuple

from torch import Tensor


class Epoch(NamedTuple):
    """One line of the training curve. `valid_hr` and `valid_mrr` at 20; NaN without validation."""

    loss: float
    valid_hr: float
    valid_mrr: float
    seconds: float


class Part(NamedTuple):
    """What is done of the epoch that has begun: steps, summed loss, over so many answers."""

    step: int = 0
    loss: float = 0.0
    answers: int = 0
    seconds: float = 0.0


class FitState(NamedTuple):
    """The epochs that ended, which was the best, its weights, and the epoch that has begun."""

    curve: list[Epoch]
    best: int = 0
    weights: dict[str, Tensor] | None = None
    part: Part = Part()
