"""Earlier questions: where validation asks few, the training events are asked too, by a model that
knows only what had happened before them."""

from typing import NamedTuple

import torch

from endcap.catalogue import CatalogueItem
from endcap.errors import DataError
from endcap.export.checkpoint import Checkpoint
from endcap.export.data.interactions import Cuts, DataSet, Split
from endcap.export.data.protocols import cuts_after
from endcap.export.data.protocols import split as split_by
from endcap.export.encoder import EncoderOptions, untrained, weights_of
from endcap.export.fit_encoder import FitOptions, fit_encoder, stopping_questions
from endcap.export.progress import Progress
from endcap.export.ranks import Ranks

_KNOWN_SHARE = 0.62
_ASKED_LATER_SHARE = 0.81
"""Of the training events, by time: what comes before the first is learned from; indexes are built
anew at the second, so that they are hardly older at a question than they will be at the test."""


class Earlier(NamedTuple):
    """A split of the training events, and the Transformer's `weights` as its `train` made them."""

    split: Split
    weights: dict[str, torch.Tensor]


def fit_earlier(
    split: Split,
    items: tuple[CatalogueItem, ...],
    encoder: EncoderOptions,
    fit: FitOptions,
    progress: Progress,
    checkpoint: Checkpoint | None,
    ranks: Ranks,
) -> Earlier | None:
    """Train another Transformer on the first of the training events, to be asked what came after.
    None where so few events have no such questions."""
    inner = _divided(split, items, progress)
    if inner is None:
        return None
    progress.say("training another on the first of these events, to be asked what came after")
    asked_before = untrained(len(items), encoder, fit.seed, ranks.device)
    stopping = stopping_questions(inner.validation, fit.seed)
    fit_encoder(
        *(asked_before, inner.train, stopping, fit, progress),
        checkpoint=checkpoint,
        ranks=ranks,
        task="Earlier",
    )
    return Earlier(inner, weights_of(asked_before))


def _divided(split: Split, items: tuple[CatalogueItem, ...], progress: Progress) -> Split | None:
    """The training events alone, once more by the same protocol."""
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
