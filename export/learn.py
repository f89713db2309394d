"""From a split to a graph: the Transformer, the generators' indexes, the blend, the export."""

import time
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch

from endcap.arrays import FloatArray
from endcap.batches import Batch
from endcap.candidates.generators import GeneratorOptions, Generators, build_generators
from endcap.catalogue import CatalogueItem
from endcap.export.blend import BlendedRescorer, BlendOptions
from endcap.export.data.interactions import Cases, Interactions, Split
from endcap.export.encoder import EncoderOptions, SessionEncoder
from endcap.export.fit_blend import BlendFit, fit_blend
from endcap.export.fit_encoder import Epoch, FitOptions, fit_encoder
from endcap.export.imitation import Teacher
from endcap.export.onnx_graph import export_onnx, largest_difference
from endcap.export.progress import Progress
from endcap.export.questions import Vocabulary, batches

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
    item_vectors: FloatArray
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


def learn(
    split: Split,
    items: tuple[CatalogueItem, ...],
    options: LearnOptions,
    progress: Progress,
    checkpoint: Path | None = None,
    teacher: Teacher | None = None,
) -> Learned:
    """Learn from `split`, and from a `teacher` where there is one; its test is not looked at.

    1. Train the Transformer on `train`; validation says when to stop.
    2. Index `train`; learn the blend on validation, with these indexes.
    3. Where more is known: train anew on `known`, for as many epochs as were best, and index that.
       Going on from the first weights leaves items that are new half learned: on RetailRocket
       HR@20 of the Transformer alone is .134 then, .144 from the start.
    4. Export; compare with torch.
    """
    begun = time.monotonic()
    torch.manual_seed(options.fit.seed)
    encoder = SessionEncoder(len(items), options.encoder)
    stopping = stopping_questions(split.validation, options.fit.seed)
    curve = fit_encoder(
        encoder, split.train, stopping, options.fit, progress, checkpoint, teacher=teacher
    )
    first = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    generators = _index(split.train, len(items), options.generators)
    model = BlendedRescorer(encoder, _facts(generators), options.blend)
    fit_blend(model, split.validation, items, generators, options.blend_fit, progress)
    importance = model.importance()
    if split.known is not split.train and options.refit:
        best = max(
            range(len(curve)), key=lambda epoch: curve[epoch].valid_hr + curve[epoch].valid_mrr
        )
        refit = msgspec.structs.replace(
            options.fit, epochs=best + 1, patience=best + 1, seed=options.fit.seed + 1
        )
        progress.say(f"training anew on all that is known before the test: {best + 1} epochs")
        torch.manual_seed(refit.seed)
        anew = SessionEncoder(len(items), options.encoder)
        fit_encoder(anew, split.known, None, refit, progress, teacher=teacher)
        encoder.load_state_dict(anew.state_dict())
        generators = _index(split.known, len(items), options.generators)
        model.facts.copy_(_facts(generators))
    graph = export_onnx(model)
    compared = _compared(split.validation, items, generators, options.encoder.length)
    difference = largest_difference(model, graph, compared)
    progress.say(f"ONNX against torch: largest difference {difference:.1e}")
    with torch.no_grad():
        vectors = encoder.item_vectors(torch.arange(len(items) + 1)).numpy().copy()
    seconds = time.monotonic() - begun
    return Learned(graph, generators, vectors, tuple(curve), importance, difference, seconds, first)


def stopping_questions(validation: Cases, seed: int) -> Cases:
    """Those of validation that say when the Transformer has trained enough."""
    asked = np.random.default_rng(seed).permutation(validation.size)[:_STOPPING_QUESTIONS]
    return validation.take(np.sort(asked))


def _index(events: Interactions, n_items: int, options: GeneratorOptions) -> Generators:
    shoppers = np.repeat(np.arange(events.n_sequences), np.diff(events.offsets))
    return build_generators(
        events.items, shoppers, events.sessions, events.times_ms, n_items, options
    )


def _facts(generators: Generators) -> torch.Tensor:
    shares = np.stack([generators.popularity, generators.popularity_now], axis=1)
    return torch.from_numpy(np.log(shares + 1e-6).astype(np.float32))


def _compared(
    validation: Cases, items: tuple[CatalogueItem, ...], generators: Generators, length: int
) -> list[Batch]:
    some = validation.take(np.arange(min(_COMPARED, validation.size)))
    return [batch for _, batch in batches(some, Vocabulary(items, items), generators, length)]
