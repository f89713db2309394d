"""A bundle's stages in ONNX Runtime on the CPU."""

import logging
from collections.abc import Callable
from pathlib import Path

from endcap.arrays import FloatArray
from endcap.bundle import Bundle
from endcap.candidates import Crowd
from endcap.candidates.features import facts_of
from endcap.scoring import Runners, StagedModel, StageGraphs
from endcap.scoring.indexed import Find
from endcap.scoring.packed import Packed
from endcap.scoring.staged import IS_BUILT
from endcap.serving.calibration import warm_up_sessions
from endcap.serving.retrieval import ItemTable, open_retriever
from endcap.serving.retrieval.opened import EXACT_UP_TO
from endcap.serving.whole_graph import PROVIDERS, open_graph

log = logging.getLogger(__name__)

_JUDGED_BY = 512
"""Made-up shoppers, by whose queries an index is judged."""


def open_stages(
    bundle: Bundle,
    graphs: StageGraphs,
    threads: int,
    index_dir: Path | None = None,
    exact_up_to: int = EXACT_UP_TO,
) -> StagedModel:
    """Ready to score. `threads`: of ONNX Runtime, 0 for as many as there are cores.

    A catalogue of more than `exact_up_to` items is looked at by an index, which is built in
    `index_dir` where there is none of it yet; where no folder is given it is gone through whole.

    Raises:
        BundleError: ONNX Runtime cannot load a graph.
        DataError: the index was changed, or cannot be written.
        RuntimeConflictError: an index is needed and faiss is not installed.
    """

    def open_index(table: FloatArray, encode: Callable[[Crowd], FloatArray]) -> Find:
        queries = encode(bundle.crowd(warm_up_sessions(bundle, _JUDGED_BY)))
        asked = queries[queries.any(axis=1)]
        folder = index_dir or Path()
        found = open_retriever(ItemTable(table), folder, asked, _said, threads or 1, exact_up_to)
        return found.find

    is_large = len(bundle.items) > exact_up_to
    if is_large and index_dir is None:
        log.warning(
            "All %d items are gone through for each shopper: no folder was given for an index.",
            len(bundle.items),
        )
    return StagedModel(
        graphs,
        open_runners(graphs, bundle.manifest.name, threads),
        facts_of(bundle.generators),
        bundle.manifest.max_length,
        bundle.gatherer.natively and IS_BUILT,
        open_index if is_large and index_dir is not None else None,
    )


def _said(step: str, done: int, total: int) -> None:
    if done == total:
        log.info("index of the catalogue: %s, %d done", step, total)


def open_runners(graphs: StageGraphs, name: str, threads: int) -> Runners:
    """Both graphs of bundle `name`, each in a session of its own.

    Raises:
        BundleError: ONNX Runtime cannot load a graph.
    """
    encoder, blend = (
        open_graph(graph, name, PROVIDERS["cpu"], threads)
        for graph in (graphs.encoder, graphs.blend)
    )

    def encode(packed: Packed) -> FloatArray:
        queries: FloatArray = encoder.run(["queries"], packed._asdict())[0]
        return queries

    def weigh(inputs: FloatArray) -> FloatArray:
        scores: FloatArray = blend.run(["scores"], {"inputs": inputs})[0]
        return scores

    return Runners(encode, weigh)
