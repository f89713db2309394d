"""ONNX files written without the package `onnx`, which serving does not install.

A file is a Protocol Buffers message; the numbers of its fields are those of onnx.proto3 and never
change (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap.scoring.onnx_weights import BYTES, VARINT

OPSET = 18
_IR_VERSION = 9
_GRAPH = 7
_GRAPH_NODE, _GRAPH_NAME, _GRAPH_INITIALISER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 2, 5, 11, 12
_ATTRIBUTE_IS_INT = 2
_ELEMENT: dict[np.dtype[Any], int] = {
    np.dtype(np.float32): 1,
    np.dtype(np.uint8): 2,
    np.dtype(np.int8): 3,
    np.dtype(np.int64): 7,
}


def node(operator: str, inputs: Sequence[str], output: str, **attributes: int) -> bytes:
    """An operator with one output that is used; attributes are whole numbers."""
    message = b"".join(_bytes(1, name.encode()) for name in inputs) + _bytes(2, output.encode())
    return message + _named(operator, attributes)


def two_outputs(
    operator: str, inputs: Sequence[str], outputs: tuple[str, str], **attributes: int
) -> bytes:
    """An operator with two outputs."""
    message = b"".join(_bytes(1, name.encode()) for name in inputs)
    return message + b"".join(_bytes(2, o.encode()) for o in outputs) + _named(operator, attributes)


def write_graph(
    nodes: Sequence[bytes],
    inputs: Mapping[str, tuple[npt.DTypeLike, Sequence[int | str]]],
    constants: Mapping[str, npt.NDArray[Any]],
    outputs: Sequence[str],
) -> bytes:
    """An ONNX file. `inputs`: each with its type and shape; a dimension with a name is open."""
    graph = b"".join(_bytes(_GRAPH_NODE, message) for message in nodes)
    graph += _bytes(_GRAPH_NAME, b"endcap")
    graph += b"".join(
        _bytes(_GRAPH_INITIALISER, _tensor(name, array)) for name, array in constants.items()
    )
    graph += b"".join(
        _bytes(_GRAPH_INPUT, _value(name, np.dtype(kind), shape))
        for name, (kind, shape) in inputs.items()
    )
    graph += b"".join(_bytes(_GRAPH_OUTPUT, _bytes(1, name.encode())) for name in outputs)
    opset = _bytes(8, _bytes(1, b"") + _varint(2, OPSET))
    return _varint(1, _IR_VERSION) + opset + _bytes(_GRAPH, graph)


def _named(operator: str, attributes: dict[str, int]) -> bytes:
    message = _bytes(4, operator.encode())
    for name, value in attributes.items():
        attribute = _bytes(1, name.encode()) + _varint(3, value) + _varint(20, _ATTRIBUTE_IS_INT)
        message += _bytes(5, attribute)
    return message


def _tensor(name: str, array: npt.NDArray[Any]) -> bytes:
    dims = b"".join(_varint(1, size) for size in array.shape)
    kind = _varint(2, _ELEMENT[array.dtype])
    return dims + kind + _bytes(8, name.encode()) + _bytes(9, array.tobytes())


def _value(name: str, kind: np.dtype[Any], shape: Sequence[int | str]) -> bytes:
    dims = b"".join(
        _bytes(1, _bytes(2, size.encode()) if isinstance(size, str) else _varint(1, size))
        for size in shape
    )
    tensor = _varint(1, _ELEMENT[kind]) + _bytes(2, dims)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _number(value: int) -> bytes:
    value &= (1 << 64) - 1  # a negative number is written in two's complement
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)


def _varint(field: int, value: int) -> bytes:
    return _number(field << 3 | VARINT) + _number(value)


def _bytes(field: int, payload: bytes) -> bytes:
    return _number(field << 3 | BYTES) + _number(len(payload)) + payload
