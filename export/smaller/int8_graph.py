"""A graph of `endcap train` in int8: the item table, and the products with weights.

The blend's network stays in float32: its inputs are of very unlike spread, and on noise the first
20 of a slate agreed to 72 % with it in int8, to 99 % without.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, TensorProto, helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from endcap.batches import Batch
from endcap.export.smaller.int8_table import use_of_table, with_int8_table

_PRODUCTS = ["MatMul", "Gemm"]
_BLEND = "/rescorer/network/"
_OPTIONS = {"MatMulConstBOnly": True}
"""Attention multiplies two things that are no weights: left in float32."""


def dynamic_int8(graph: bytes) -> bytes:
    """Each activation's range is measured in each call; nothing has to be calibrated.

    Raises:
        BundleError: as `use_of_table`.
    """
    model = with_int8_table(onnx.load_from_string(graph), query_scale=None)
    with tempfile.TemporaryDirectory() as folder:
        source, made = _prepared(model, Path(folder))
        quantize_dynamic(
            source,
            made,
            op_types_to_quantize=_PRODUCTS,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_nodes_of_blend(model),
            extra_options=_OPTIONS,
        )
        return _without_shapes(made)


def static_int8(graph: bytes, batches: Sequence[Batch]) -> bytes:
    """Ranges are what `batches` show, once: a row's scores do not depend on who shares its call.

    Raises:
        BundleError: as `use_of_table`.
    """
    read = onnx.load_from_string(graph)
    model = with_int8_table(read, query_scale=_largest_query(read, batches) / 127)
    with tempfile.TemporaryDirectory() as folder:
        source, made = _prepared(model, Path(folder))
        quantize_static(
            source,
            made,
            _Calibration(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_PRODUCTS,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_nodes_of_blend(model),
            extra_options=_OPTIONS,
        )
        return _without_shapes(made)


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batches: Sequence[Batch]) -> None:
        self._waiting: Iterator[Batch] = iter(batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._waiting, None)
        return None if batch is None else batch._asdict()


def _prepared(model: ModelProto, folder: Path) -> tuple[Path, Path]:
    """Where the model with its shapes inferred lies, as the quantiser asks, and where to write."""
    source, prepared = folder / "float.onnx", folder / "prepared.onnx"
    onnx.save(model, source)
    quant_pre_process(source, prepared, skip_optimization=True, skip_symbolic_shape=True)
    return prepared, folder / "int8.onnx"


def _without_shapes(made: Path) -> bytes:
    """ONNX Runtime infers the shapes of what lies between anew; written down they take 48 KB."""
    model = onnx.load(made)
    del model.graph.value_info[:]
    raw: bytes = model.SerializeToString()
    return raw


def _nodes_of_blend(model: ModelProto) -> list[str]:
    return [node.name for node in model.graph.node if node.name.startswith(_BLEND)]


def _largest_query(model: ModelProto, batches: Sequence[Batch]) -> float:
    query = use_of_table(model).product.input[0]
    shown = ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.append(helper.make_tensor_value_info(query, TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(
        shown.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found = [session.run([query], batch._asdict())[0] for batch in batches]
    return max(1e-6, *(float(np.abs(vectors).max()) for vectors in found))
