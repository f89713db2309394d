"""A bundle's whole graph in ONNX Runtime, on any provider: padded batches in, padded scores out."""

from typing import Any

import onnxruntime

from endcap.batches import Batch, ScoredItems
from endcap.errors import BundleError

PROVIDERS = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
}


class WholeGraph:
    """One session. `provider` is the one in use, not one merely offered; `fell_back`: it is not
    the one that was asked for."""

    def __init__(self, graph: bytes, name: str, provider: str, threads: int) -> None:
        wanted = PROVIDERS[provider]
        if provider == "cuda" and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()
        self._session = open_graph(graph, name, wanted, threads)
        self.provider: str = self._session.get_providers()[0]
        self.fell_back = self.provider != wanted[0]

    def run(self, batch: Batch) -> ScoredItems:
        """One call."""
        ids, scores = self._session.run(["ids", "scores"], batch._asdict())
        return ScoredItems(ids, scores)


def open_graph(graph: bytes, name: str, providers: list[str], threads: int) -> Any:
    """An ONNX Runtime session. `name`: of the bundle; `threads`: 0 for as many as there are cores.

    Raises:
        BundleError: ONNX Runtime cannot load it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(graph, options, providers=providers)
    except Exception as error:
        # ONNX Runtime's exceptions share no public base class below Exception.
        raise BundleError(
            f"ONNX Runtime cannot load the model of bundle {name}: {error}. "
            "Train it again, or install the version in constraints.txt."
        ) from error
