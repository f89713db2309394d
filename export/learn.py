"""From a split to a graph: the Transformer, the generators' indexes, the blend, the export."""

import time
from typing import NamedTuple

import numpy as np
import torch

from endcap.candidates.generators import GeneratorOptions, Generators, build_generators
from endcap.candidates.generators_file import decode_generators, encode_generators
from endcap.catalogue import CatalogueItem
from endcap.counted import counted
from endcap.export.blend import BlendedRescorer
from endcap.export.data.interactions import Interactions, Split
from endcap.export.fit_blend import Stage, fit_blend
from endcap.export.fit_state import Epoch
from endcap.export.fit_transformer import Fitted, fit_transformer
from endcap.export.learn_options import LearnOptions
from endcap.export.onnx_graph import export_onnx, largest_difference
from endcap.export.progress import Progress
from endcap.export.questions import Vocabulary, batches
from endcap.export.stages import export_stages, largest_difference_of_stages
from endcap.export.text.unseen_items import ItemTexts, place_unseen
from endcap.scoring import StageGraphs

_COMPARED = 64


class Learned(NamedTuple):
    """A model ready to serve: its graphs and indexes know what `Split.known` holds, no more.
    `graph` is the whole of it, `stages` the same in parts.

    `first_encoder`: the Transformer's weights as `Split.train` alone made them. A student learns
    from these: what `known` adds is what validation, which judges the student, asks for.
    """

    graph: bytes
    stages: StageGraphs
    generators: Generators
    curve: tuple[Epoch, ...]
    importance: dict[str, float]
    largest_difference: float
    seconds: float
    first_encoder: dict[str, torch.Tensor]


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
    5. Export, whole and in stages; compare both with torch.
    """
    if fitted is None:
        fitted = fit_transformer(split, items, options, progress)
    begun = time.monotonic()
    stages = _stages(split, fitted, len(items), options.generators)
    torch.manual_seed(options.fit.seed)
    model = BlendedRescorer(fitted.encoder, options.blend).to(fitted.encoder.device)
    fit_blend(model, stages, items, options.blend_fit, progress)
    importance = model.importance()
    model.cpu()
    generators, seen = stages[-1].generators, split.train
    if split.known is not split.train and options.refit:
        generators, seen = _index(split.known, len(items), options.generators), split.known
    model.answer_with(fitted.last, generators)
    if texts is not None and texts.placeable.any():
        generators = _place(model, generators, seen, items, texts, progress)
    # As a bundle gives them back: what is evaluated is what is served, to the last digit.
    generators = decode_generators(encode_generators(generators))
    graph, graphs = export_onnx(model), export_stages(model)
    some = split.validation.take(np.arange(min(_COMPARED, split.validation.size)))
    compared = list(batches(some, Vocabulary(items, items), generators, options.encoder.length))
    difference = max(
        largest_difference(model, graph, [each.batch() for each in compared]),
        largest_difference_of_stages(model, graphs, generators, compared),
    )
    progress.say(f"ONNX against torch: largest difference {difference:.1e}")
    seconds = fitted.seconds + time.monotonic() - begun
    return Learned(
        graph,
        graphs,
        generators,
        fitted.curve,
        importance,
        difference,
        seconds,
        fitted.first,
    )


def _stages(split: Split, fitted: Fitted, n_items: int, options: GeneratorOptions) -> list[Stage]:
    """Who is asked what for the blend to learn from: the oldest questions first."""
    stages = []
    if fitted.earlier is not None:
        inner, weights = fitted.earlier
        for events, asked in ((inner.train, inner.validation), (inner.known, inner.test)):
            stages.append(Stage(asked, _index(events, n_items, options), weights))
    indexed = _index(split.train, n_items, options)
    return [*stages, Stage(split.validation, indexed, fitted.first)]


def _place(
    model: BlendedRescorer,
    generators: Generators,
    seen: Interactions,
    items: tuple[CatalogueItem, ...],
    texts: ItemTexts,
    progress: Progress,
) -> Generators:
    """Place what is not `seen` in the model, in place; the indexes as they are then."""
    shares = np.stack([generators.popularity, generators.popularity_now], axis=1)
    placed = place_unseen(model.encoder, shares, seen, items, texts)
    progress.say(
        counted(
            placed.rows.size,
            "item that no event names is placed by its text",
            "items that no event names are placed by their text",
        )
    )
    everything, now = np.ascontiguousarray(placed.shares.T, dtype=np.float32)
    generators = generators._replace(
        popularity=everything, popularity_now=now, placed=placed.rows.astype(np.int32)
    )
    model.know_popularity(generators)
    return generators


def _index(events: Interactions, n_items: int, options: GeneratorOptions) -> Generators:
    shoppers = np.repeat(np.arange(events.n_sequences), np.diff(events.offsets))
    return build_generators(
        events.items, shoppers, events.sessions, events.times_ms, n_items, options
    )
