"""The Transformers of a model: the one that stops by validation, the one for earlier questions, and
the one that serves."""

import hashlib
import time
from typing import NamedTuple

import msgspec
import numpy as np
import torch

from endcap.catalogue import CatalogueItem
from endcap.counted import counted
from endcap.errors import EndcapError
from endcap.export.checkpoint import Halfway
from endcap.export.data.interactions import Split
from endcap.export.earlier import Earlier, fit_earlier
from endcap.export.encoder import SessionEncoder, untrained, weights_of
from endcap.export.fingerprint import fingerprint
from endcap.export.fit_encoder import fit_encoder, stopping_questions
from endcap.export.fit_state import Epoch
from endcap.export.imitation import Teacher
from endcap.export.learn_options import LearnOptions
from endcap.export.progress import Progress
from endcap.export.ranks import ALONE, Ranks


class Fitted(NamedTuple):
    """A Transformer that has learned. `first`: its weights as `Split.train` alone made them;
    `last`: as what it is to serve with; `earlier`: for questions among the training events."""

    encoder: SessionEncoder
    first: dict[str, torch.Tensor]
    last: dict[str, torch.Tensor]
    earlier: Earlier | None
    curve: tuple[Epoch, ...]
    seconds: float


def fit_transformer(
    split: Split,
    items: tuple[CatalogueItem, ...],
    options: LearnOptions,
    progress: Progress,
    halfway: Halfway | None = None,
    teacher: Teacher | None = None,
    ranks: Ranks = ALONE,
) -> Fitted:
    """The part of learning that several processes can share.

    1. Train on `train`; validation says when to stop.
    2. Where validation asks too little for the blend: train another on the first of `train`, to be
       asked what came after. A teacher, who has seen that, is not asked.
    3. Where more is known: train anew on `known`, for as many epochs as were best. Going on from
       the first weights leaves items that are new half learned: on RetailRocket HR@20 of the
       Transformer alone is .134 then, .144 from the start.

    Raises:
        SettingsError: a checkpoint in `halfway` is of another training.
        EndcapError: another of the `ranks` has ended, or it read other data.
    """
    begun = time.monotonic()
    encoder = untrained(len(items), options.encoder, options.fit.seed, ranks.device)
    if teacher is not None:
        teacher.encoder.to(ranks.device)
    of = _what_it_is_of(split, items, options, teacher, ranks)
    if ranks.from_leader(of) != of:
        raise EndcapError(
            f"Process {ranks.rank} read other data or options than process 0. Start all with one "
            "command, and see that they find the same files."
        )
    first, before, last = halfway.checkpoints(of) if halfway is not None else (None, None, None)
    stopping = stopping_questions(split.validation, options.fit.seed)
    progress.say(f"training on {ranks.as_words()}")
    curve = fit_encoder(
        encoder, split.train, stopping, options.fit, progress, first, None, teacher, ranks
    )
    weights = weights_of(encoder)
    earlier = None
    if split.validation.size < options.blend_fit.enough:
        earlier = fit_earlier(split, items, options.encoder, options.fit, progress, before, ranks)
    if split.known is not split.train and options.refit:
        best = int(np.argmax([epoch.valid_hr + epoch.valid_mrr for epoch in curve]))
        refit = msgspec.structs.replace(
            options.fit, epochs=best + 1, patience=best + 1, seed=options.fit.seed + 1
        )
        epochs = counted(best + 1, "epoch")
        progress.say(f"training anew on all that is known before the test: {epochs}")
        encoder = untrained(len(items), options.encoder, refit.seed, ranks.device)
        fit_encoder(
            encoder, split.known, None, refit, progress, last, None, teacher, ranks, "Refit"
        )
    seconds = time.monotonic() - begun
    return Fitted(encoder, weights, weights_of(encoder), earlier, tuple(curve), seconds)


def _what_it_is_of(
    split: Split,
    items: tuple[CatalogueItem, ...],
    options: LearnOptions,
    teacher: Teacher | None,
    ranks: Ranks,
) -> dict[str, str]:
    """What must be equal for the weights to end the same."""
    taught = "nobody"
    if teacher is not None:
        learned = hashlib.sha256()
        for tensor in teacher.encoder.state_dict().values():
            learned.update(tensor.cpu().numpy().tobytes())
        taught = f"{learned.hexdigest()}, {teacher.share:g}, {teacher.temperature:g}"
    return {
        "the events or items that it learns from": fingerprint(split.train, items),
        "the events known before the test": fingerprint(split.known, items),
        "the Transformer's size and dropout": msgspec.json.encode(options.encoder).decode(),
        "the options of training": msgspec.json.encode(options.fit).decode(),
        "whether it trains anew on what is known": str(options.refit),
        "the teacher": taught,
        "what it is trained on": ranks.as_words(),
    }
