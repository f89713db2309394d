"""A bundle's whole graph in ONNX Runtime, on any provider: padded batches in, padded scores out."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import onnxruntime

from endcap.batches import Batch, ScoredItems
from endcap.errors import BundleError

OUTPUTS = ("ids", "scores")
PROVIDERS = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
}
_OPTIONS = {
    # In TF32, its default on newer cards, scores were .1 off and the first 20 agreed to 99 %.
    "CUDAExecutionProvider": {"use_tf32": "0"},
}


class Graph(NamedTuple):
    """What is opened. `name`: of the bundle; `threads`: 0 for as many as there are cores."""

    raw: bytes
    name: str
    threads: int


class WholeGraph:
    """One session. `provider` is the one in use, not one merely offered; `fell_back`: it is not
    the one that was asked for."""

    def __init__(self, graph: bytes, name: str, provider: str, threads: int) -> None:
        wanted = PROVIDERS[provider]
        if provider == "cuda" and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()
        self.graph = Graph(graph, name, threads)
        self._session = open_graph(graph, name, wanted, threads)
        self.provider: str = self._session.get_providers()[0]
        self.fell_back = self.provider != wanted[0]

    def run(self, batch: Batch) -> ScoredItems:
        """One call."""
        ids, scores = self._session.run(list(OUTPUTS), batch._asdict())
        return ScoredItems(ids, scores)


def open_graph(graph: bytes, name: str, providers: list[str], threads: int) -> Any:
    """An ONNX Runtime session. `name`: of the bundle; `threads`: 0 for as many as there are cores.

    Raises:
        BundleError: ONNX Runtime cannot load it.
    """
    try:
        return open_in_shape(Graph(graph, name, threads), providers, {}, {})
    except Exception as error:
        # ONNX Runtime's exceptions share no public base class below Exception.
        raise BundleError(
            f"ONNX Runtime cannot load the model of bundle {name}: {error}. "
            "Train it again, or install the version in constraints.txt."
        ) from error


def open_in_shape(
    graph: Graph, providers: list[str], shape: Mapping[str, int], more: Mapping[str, str]
) -> Any:
    """A session whose free dimensions have the sizes of `shape`; `more`: options of the first
    provider. Raises what ONNX Runtime raises."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = graph.threads
    if shape:
        # It warns of each constant in float16 that it cannot fold, in each shape anew.
        options.log_severity_level = 3
    for dimension, size in shape.items():
        options.add_free_dimension_override_by_name(dimension, size)
    first, *others = providers
    chosen = [(first, _OPTIONS.get(first, {}) | dict(more)), *others]
    return onnxruntime.InferenceSession(graph.raw, options, providers=chosen)
