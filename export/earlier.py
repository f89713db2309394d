"""Earlier questions: where validation asks few, the training events are asked too, by a model that
knows only what had happened before them."""

from typing import NamedTuple

import torch

from endcap.catalogue import CatalogueItem
from endcap.errors import DataError
from endcap.export.data.interactions import Cuts, DataSet, Split
from endcap.export.data.protocols import cuts_after
from endcap.export.data.protocols import split as split_by
from endcap.export.progress import Progress

_KNOWN_SHARE = 0.62
_ASKED_LATER_SHARE = 0.81
"""Of the training events, by time: what comes before the first is learned from; indexes are built
anew at the second, so that they are hardly older at a question than they will be at the test."""


class Earlier(NamedTuple):
    """A split of the training events, and the Transformer's `weights` as its `train` made them."""

    split: Split
    weights: dict[str, torch.Tensor]


def earlier_split(
    split: Split, items: tuple[CatalogueItem, ...], enough: int, progress: Progress
) -> Split | None:
    """The training events alone, divided once more by the same protocol; None where validation has
    `enough` questions, or where so few events have none."""
    if split.validation.size >= enough:
        return None
    data = DataSet("what is learned from", split.train, (), items, {})
    try:
        return split_by(data, split.protocol, _cuts(split))
    except DataError as error:
        progress.say(f"no earlier questions to learn the blend from: {error}")
        return None


def _cuts(split: Split) -> Cuts | None:
    if split.protocol == "leave-one-out":
        return None
    return cuts_after(split.train.times_ms, _KNOWN_SHARE, _ASKED_LATER_SHARE)
