"""The bundle's Transformer alone: visits in, what is asked for out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnxruntime

from endcap.arrays import FloatArray, LongArray
from endcap.bundle import Bundle
from endcap.candidates import CONTEXT, FEATURES
from endcap.errors import BundleError
from endcap.serving.onnx_wire import cut_graph

_QUERY = "/rescorer/Mul_1_output_0"
_TABLE = "/rescorer/Div_3_output_0"


class Visit(NamedTuple):
    """A shopper's newest events [n], oldest first, as the Transformer takes them."""

    item_ids: LongArray
    event_types: LongArray
    time_gaps: LongArray


class QueryEncoder:
    """The graph as far as the query; the catalogue's product and the blend are cut off."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """
        Raises:
            BundleError: the graph has no such values: another version of endcap exported it.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # of inputs that the part of the graph does not need
        try:
            self._session = onnxruntime.InferenceSession(
                cut_graph(bundle.model, [_QUERY]), options, providers=["CPUExecutionProvider"]
            )
            self._whole = bundle.model
        except Exception as error:
            # ONNX Runtime's exceptions share no public base class below Exception.
            raise BundleError(
                f"The model of bundle {bundle.manifest.name} has no query to be cut at ({error}). "
                "Train it again with this version."
            ) from error
        self._length = bundle.manifest.max_length

    def encode(self, visits: Sequence[Visit]) -> FloatArray:
        """Queries [B, d] of length 1; visits are padded to the longest of them, on the left."""
        length = min(self._length, max(visit.item_ids.size for visit in visits))
        padded = np.zeros((3, len(visits), length), dtype=np.int64)
        for row, visit in enumerate(visits):
            kept = min(length, visit.item_ids.size)
            for part, values in zip(padded, visit, strict=True):
                part[row, length - kept :] = values[-kept:]
        queries: FloatArray = self._session.run([_QUERY], _inputs(*padded))[0]
        return queries

    def item_vectors(self) -> FloatArray:
        """The table that queries are compared with [V + 1, d], row 0 padding."""
        session = onnxruntime.InferenceSession(
            cut_graph(self._whole, [_TABLE]), providers=["CPUExecutionProvider"]
        )
        nothing = np.zeros((1, 1), dtype=np.int64)
        table: FloatArray = session.run([_TABLE], _inputs(nothing, nothing, nothing))[0]
        return table


def _inputs(ids: LongArray, types: LongArray, gaps: LongArray) -> dict[str, object]:
    rows = len(ids)
    return {
        "item_ids": ids,
        "event_types": types,
        "time_gaps": gaps,
        "candidate_ids": np.zeros((rows, 1), dtype=np.int64),
        "features": np.zeros((rows, 1, len(FEATURES)), dtype=np.float32),
        "context": np.zeros((rows, len(CONTEXT)), dtype=np.float32),
    }
