"""From a split to a graph: the Transformer, the generators' indexes, the blend, the export."""

import hashlib
import time
from typing import NamedTuple

import msgspec
import numpy as np
import torch

from endcap.batches import Batch
from endcap.candidates.generators import GeneratorOptions, Generators, build_generators
from endcap.candidates.generators_file import decode_generators, encode_generators
from endcap.catalogue import CatalogueItem
from endcap.counted import counted
from endcap.errors import EndcapError
from endcap.export.blend import BlendedRescorer, BlendOptions, popularity_of
from endcap.export.checkpoint import Halfway
from endcap.export.data.interactions import Cases, Interactions, Split
from endcap.export.earlier import Earlier, earlier_split
from endcap.export.encoder import EncoderOptions, SessionEncoder
from endcap.export.fingerprint import fingerprint
from endcap.export.fit_blend import BlendFit, Stage, fit_blend
from endcap.export.fit_encoder import FitOptions, fit_encoder
from endcap.export.fit_state import Epoch
from endcap.export.imitation import Teacher
from endcap.export.onnx_graph import export_onnx, largest_difference
from endcap.export.progress import Progress
from endcap.export.questions import Vocabulary, batches
from endcap.export.ranks import ALONE, Ranks
from endcap.export.text.unseen_items import ItemTexts, place_unseen

_STOPPING_QUESTIONS = 10_000
"""Of validation, drawn by chance: they say when the Transformer has trained enough."""
_COMPARED = 64
_LARGE_CATALOGUE = 20_000


class LearnOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that `endcap train` may choose. `refit`: learn anew from all that is known in the end."""

    encoder: EncoderOptions = EncoderOptions()
    fit: FitOptions = FitOptions()
    generators: GeneratorOptions = GeneratorOptions()
    blend: BlendOptions = BlendOptions()
    blend_fit: BlendFit = BlendFit()
    refit: bool = True


class Learned(NamedTuple):
    """A model ready to serve: its graph and indexes know what `Split.known` holds, no more.

    `first_encoder`: the Transformer's weights as `Split.train` alone made them. A student learns
    from these: what `known` adds is what validation, which judges the student, asks for.
    """

    graph: bytes
    generators: Generators
    curve: tuple[Epoch, ...]
    importance: dict[str, float]
    largest_difference: float
    seconds: float
    first_encoder: dict[str, torch.Tensor]


def options_for(train: Interactions, n_items: int, seed: int) -> LearnOptions:
    """Defaults by how much there is to learn from, the same for every shop.

    Few events want small steps and much forgetting, many want large batches; a large catalogue
    wants wide vectors.
    """
    events = train.items.size
    is_small = events < 300_000
    return LearnOptions(
        encoder=EncoderOptions(
            dim=64 if is_small or n_items < _LARGE_CATALOGUE else 96,
            dropout=0.3 if is_small else 0.2,
            item_dropout=0.3 if is_small else 0.2,
        ),
        fit=FitOptions(
            epochs=14 if is_small else 8,
            positions=1024 if is_small else 4096,
            seed=seed,
        ),
        blend_fit=BlendFit(seed=seed),
    )


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
    """The part of `learn` that several processes can share.

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
    encoder = _untrained(len(items), options.encoder, options.fit.seed, ranks)
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
    weights = _weights(encoder)
    earlier = None
    inner = earlier_split(split, items, options.blend_fit.enough, progress)
    if inner is not None:
        progress.say("training another on the first of these events, to be asked what came after")
        asked_before = _untrained(len(items), options.encoder, options.fit.seed, ranks)
        stopping = stopping_questions(inner.validation, options.fit.seed)
        fit_encoder(
            *(asked_before, inner.train, stopping, options.fit, progress),
            checkpoint=before,
            ranks=ranks,
            task="Earlier",
        )
        earlier = Earlier(inner, _weights(asked_before))
    if split.known is not split.train and options.refit:
        best = int(np.argmax([epoch.valid_hr + epoch.valid_mrr for epoch in curve]))
        refit = msgspec.structs.replace(
            options.fit, epochs=best + 1, patience=best + 1, seed=options.fit.seed + 1
        )
        epochs = counted(best + 1, "epoch")
        progress.say(f"training anew on all that is known before the test: {epochs}")
        encoder = _untrained(len(items), options.encoder, refit.seed, ranks)
        fit_encoder(
            encoder, split.known, None, refit, progress, last, None, teacher, ranks, "Refit"
        )
    seconds = time.monotonic() - begun
    return Fitted(encoder, weights, _weights(encoder), earlier, tuple(curve), seconds)


def learn(
    split: Split,
    items: tuple[CatalogueItem, ...],
    options: LearnOptions,
    progress: Progress,
    fitted: Fitted | None = None,
    texts: ItemTexts | None = None,
) -> Learned:
    """Learn from `split`; its test is not looked at.

    1. Fit the Transformer, unless one is given that was `fitted` to this split.
    2. Index `train`; learn the blend on validation, with these indexes and the weights that `train`
       made; on earlier questions with what was known then.
    3. Where more is known: take the weights that `known` made, and index that.
    4. Place by their `texts` the items that no event names.
    5. Export; compare with torch.
    """
    if fitted is None:
        fitted = fit_transformer(split, items, options, progress)
    begun = time.monotonic()
    generators = _index(split.train, len(items), options.generators)
    stages = [Stage(split.validation, generators, fitted.first)]
    if fitted.earlier is not None:
        inner, weights = fitted.earlier
        for events, asked in ((inner.train, inner.validation), (inner.known, inner.test)):
            indexed = _index(events, len(items), options.generators)
            stages.insert(-1, Stage(asked, indexed, weights))
    torch.manual_seed(options.fit.seed)
    model = BlendedRescorer(fitted.encoder, options.blend).to(fitted.encoder.device)
    fit_blend(model, stages, items, options.blend_fit, progress)
    importance = model.importance()
    model.cpu()
    if split.known is not split.train and options.refit:
        generators = _index(split.known, len(items), options.generators)
    model.answer_with(fitted.last, generators)
    if texts is not None and texts.placeable.any():
        seen = split.known if options.refit else split.train
        placed = place_unseen(fitted.encoder, popularity_of(generators), seen, items, texts)
        model.know_popularity(placed.shares)
        everything, now = np.ascontiguousarray(placed.shares.T, dtype=np.float32)
        generators = generators._replace(
            popularity=everything, popularity_now=now, placed=placed.rows.astype(np.int32)
        )
        progress.say(
            counted(
                placed.rows.size,
                "item that no event names is placed by its text",
                "items that no event names are placed by their text",
            )
        )
    # As a bundle gives them back: what is evaluated is what is served, to the last digit.
    generators = decode_generators(encode_generators(generators))
    graph = export_onnx(model)
    compared = _compared(split.validation, items, generators, options.encoder.length)
    difference = largest_difference(model, graph, compared)
    progress.say(f"ONNX against torch: largest difference {difference:.1e}")
    seconds = fitted.seconds + time.monotonic() - begun
    return Learned(graph, generators, fitted.curve, importance, difference, seconds, fitted.first)


def _untrained(n_items: int, options: EncoderOptions, seed: int, ranks: Ranks) -> SessionEncoder:
    torch.manual_seed(seed)
    return SessionEncoder(n_items, options).to(ranks.device)


def stopping_questions(validation: Cases, seed: int) -> Cases:
    """Those of validation that say when the Transformer has trained enough."""
    asked = np.random.default_rng(seed).permutation(validation.size)[:_STOPPING_QUESTIONS]
    return validation.take(np.sort(asked))


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


def _weights(encoder: SessionEncoder) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in encoder.state_dict().items()}


def _index(events: Interactions, n_items: int, options: GeneratorOptions) -> Generators:
    shoppers = np.repeat(np.arange(events.n_sequences), np.diff(events.offsets))
    return build_generators(
        events.items, shoppers, events.sessions, events.times_ms, n_items, options
    )


def _compared(
    validation: Cases, items: tuple[CatalogueItem, ...], generators: Generators, length: int
) -> list[Batch]:
    some = validation.take(np.arange(min(_COMPARED, validation.size)))
    return [each.batch for each in batches(some, Vocabulary(items, items), generators, length)]
