"""The whole graph in a few fixed shapes, its inputs and outputs bound to memory allotted once."""

import logging
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from endcap.batches import Batch, ScoredItems
from endcap.serving.buckets import Bucket, bucket_of, empty, fill, in_parts
from endcap.serving.buffers import Allot, CpuBuffer, CudaBuffer
from endcap.serving.whole_graph import OUTPUTS, Graph, WholeGraph, open_in_shape

log = logging.getLogger(__name__)

CUDA = "CUDAExecutionProvider"


class BoundGraph:
    """`whole`, on the provider that it has, in `buckets` (smallest first); what fits none runs by
    `whole` itself. `captured`: how many buckets run as a CUDA graph.

    Each bucket is run once when it is made: what a first call plans or captures is done before the
    first shopper comes.
    """

    def __init__(self, whole: WholeGraph, buckets: Sequence[Bucket]) -> None:
        self._whole = whole
        own = whole.run(empty(Bucket(1, 1, 1))).ids.shape[1] - 1
        self._shapes = {
            bucket: _FixedShape(whole.graph, whole.provider, bucket, own) for bucket in buckets
        }
        self._most_rows = max(bucket.rows for bucket in buckets)
        self._lock = threading.Lock()
        self.captured = sum(shape.is_captured for shape in self._shapes.values())

    def run(self, batch: Batch) -> ScoredItems:
        """As `WholeGraph.run`, to what another amount of padding rounds differently."""
        parts = [self._run(part) for part in in_parts(batch, self._most_rows)]
        if len(parts) == 1:
            return parts[0]
        return ScoredItems(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def _run(self, batch: Batch) -> ScoredItems:
        bucket = bucket_of(batch, tuple(self._shapes))
        if bucket is None:
            return self._whole.run(batch)
        with self._lock:
            return self._shapes[bucket].run(batch)


class _FixedShape:
    """One bucket: a session, its buffers, and maybe a CUDA graph."""

    def __init__(self, graph: Graph, provider: str, bucket: Bucket, own: int) -> None:
        self._session, self.is_captured = _open(graph, provider, bucket)
        self._bucket = bucket
        allot: Allot = CudaBuffer if provider == CUDA else CpuBuffer
        nothing = empty(bucket)
        ids = np.pad(nothing.candidate_ids, ((0, 0), (0, own)))
        self._inputs = {name: allot(like) for name, like in nothing._asdict().items()}
        self._outputs = [allot(ids), allot(ids.astype(np.float32))]
        self._bound = self._session.io_binding()
        for name, buffer in self._inputs.items():
            self._bound.bind_ortvalue_input(name, buffer.value)
        for name, buffer in zip(OUTPUTS, self._outputs, strict=True):
            self._bound.bind_ortvalue_output(name, buffer.value)
        self._places = Batch(*(self._inputs[name].host for name in Batch._fields))
        self.run(nothing)

    def run(self, batch: Batch) -> ScoredItems:
        """1. Write the batch into the bound inputs. 2. Run. 3. Copy out what is no padding."""
        fill(self._places, batch)
        for buffer in self._inputs.values():
            buffer.send()
        self._session.run_with_iobinding(self._bound)
        for buffer in self._outputs:
            buffer.fetch()
        rows, candidates = batch.candidate_ids.shape
        ids, scores = (
            np.delete(each.host[:rows], np.s_[candidates : self._bucket.candidates], axis=1)
            for each in self._outputs
        )
        return ScoredItems(ids, scores)


def _open(graph: Graph, provider: str, bucket: Bucket) -> tuple[Any, bool]:
    """A session, and whether it replays a CUDA graph: ONNX Runtime refuses where a node of it is
    not on the GPU."""
    # The names of the free dimensions in what `export_onnx` writes.
    shape = {"batch": bucket.rows, "length": bucket.length, "candidates": bucket.candidates}
    if provider != CUDA:
        return open_in_shape(graph, [provider], shape, {}), False
    both = [provider, "CPUExecutionProvider"]
    try:
        return open_in_shape(graph, both, shape, {"enable_cuda_graph": "1"}), True
    except Exception as error:  # ONNX Runtime's exceptions share no other public base class.
        log.warning("%s of bundle %s runs without a CUDA graph: %s", bucket, graph.name, error)
        return open_in_shape(graph, both, shape, {}), False
