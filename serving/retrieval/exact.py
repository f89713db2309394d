"""Every item's inner product, and the best: one call of ONNX Runtime a batch."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from endcap.arrays import FloatArray
from endcap.serving.onnx_wire import node, two_outputs, write_graph
from endcap.serving.retrieval.retriever import Found, check_question
from endcap.serving.retrieval.table import ItemTable

_BLOCK = 16
_AT_MOST_BYTES = 1 << 31
_LARGEST_K = 512


class ExactRetriever:
    """The table packed once for the matrix product, which numpy packs anew at each call: at batch
    32 a third of numpy's time on 100,000 items. The table's own pages are not needed after that.
    """

    def __init__(self, table: ItemTable, threads: int = 1) -> None:
        """
        Raises:
            ValueError: the table holds 2 GiB or more as float32; take the approximate retriever.
        """
        if table.items * table.dim * 4 >= _AT_MOST_BYTES:
            raise ValueError(
                f"{table.items} items of {table.dim} dimensions are too many to multiply by all of "
                "them; open_retriever takes an index for so many"
            )
        self._table_items = table.items
        self._dim = table.dim
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._width = min(_BLOCK, max(1, table.items // (_LARGEST_K + _BLOCK)))
        self._session = onnxruntime.InferenceSession(
            _graph(table, self._width), options, providers=["CPUExecutionProvider"]
        )

    @property
    def items(self) -> int:
        """V."""
        return self._table_items

    def find(self, queries: FloatArray, k: int) -> Found:
        """See `Retriever.find`."""
        check_question(queries, k, self._table_items, self._dim)
        padding = -self._table_items % self._width
        if self._width > 1 and k + padding > _LARGEST_K:
            raise ValueError(f"at most {_LARGEST_K - _BLOCK} items at a time, not {k}")
        if not len(queries):
            return Found(np.zeros((0, k), np.int64), np.zeros((0, k), np.float32))
        asked = {"queries": queries, "k": np.array([k + padding], dtype=np.int64)}
        places, scores = self._session.run(["places", "scores"], asked)
        if padding:
            real = np.argsort(places >= self._table_items, axis=1, kind="stable")[:, :k]
            places = np.take_along_axis(places, real, 1)
            scores = np.take_along_axis(scores, real, 1)
        return Found(places + 1, scores)


def _graph(table: ItemTable, width: int) -> bytes:
    """MatMul, then the best in two passes.

    The item at place p is in block p modulo the number of blocks, so that a block's largest score
    is an elementwise maximum of `width` contiguous runs, which is quick. An item among the best k
    has a block among the k with the largest scores: the k * width items of these hold all of
    them, and only these are sorted.
    """
    blocks = -(-table.items // width)
    columns = np.zeros((table.dim, blocks * width), dtype=np.float32)
    for first, tile in table.tiles(1 << 16):
        columns[:, first - 1 : first - 1 + len(tile)] = tile.T
    constants: dict[str, npt.NDArray[Any]] = {
        "table": columns,
        "by_block": np.array([-1, width, blocks], dtype=np.int64),
        "first_axis": np.array([1], dtype=np.int64),
        "runs": (np.arange(width, dtype=np.int64) * blocks)[None, :, None],
        "in_a_row": np.array([0, -1], dtype=np.int64),
    }
    nodes = [
        node("MatMul", ["queries", "table"], "products"),
        node("Reshape", ["products", "by_block"], "blocked"),
        node("ReduceMax", ["blocked", "first_axis"], "largest", keepdims=0),
        two_outputs("TopK", ["largest", "k"], ("_", "best_blocks"), axis=1, sorted=0),
        node("Unsqueeze", ["best_blocks", "first_axis"], "one_run"),
        node("Add", ["one_run", "runs"], "all_runs"),
        node("Reshape", ["all_runs", "in_a_row"], "candidates"),
        node("GatherElements", ["products", "candidates"], "their_products", axis=1),
        two_outputs("TopK", ["their_products", "k"], ("scores", "order"), axis=1),
        node("GatherElements", ["candidates", "order"], "places", axis=1),
    ]
    inputs = {"queries": (np.float32, ("batch", table.dim)), "k": (np.int64, (1,))}
    return write_graph(nodes, inputs, constants, ["places", "scores"])
