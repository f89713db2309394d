"""The weights of the stages, read from their ONNX files without the package `onnx`.

A file is a Protocol Buffers message; the numbers of its fields are those of onnx.proto3 and never
change (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray
from endcap.errors import BundleError

VARINT, BYTES = 0, 2
_GRAPH, _NODE, _INITIALISER = 7, 1, 5
_NODE_INPUT, _NODE_NAME, _NODE_OPERATOR = 1, 3, 4
_DIMS, _TYPE, _NAME, _RAW = 1, 2, 8, 9
_ELEMENT: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 7: np.dtype("<i8")}
_BLEND = ["Gemm", "Relu", "Gemm", "Relu", "Gemm", "Squeeze"]
_PREFIX = "encoder.encoder."


class BlockWeights(NamedTuple):
    """One block of GPT-2; matrices [in, out]."""

    ln_1_weight: FloatArray
    ln_1_bias: FloatArray
    attend: FloatArray
    attend_bias: FloatArray
    project: FloatArray
    project_bias: FloatArray
    ln_2_weight: FloatArray
    ln_2_bias: FloatArray
    widen: FloatArray
    widen_bias: FloatArray
    narrow: FloatArray
    narrow_bias: FloatArray


class EncoderWeights(NamedTuple):
    """Of `session_encoder.onnx`. `types`, `gaps`, `places` [n, d]; `ask`, `key`, `add` [d, d]."""

    heads: int
    types: FloatArray
    gaps: FloatArray
    places: FloatArray
    blocks: tuple[BlockWeights, ...]
    ln_weight: FloatArray
    ln_bias: FloatArray
    ask: FloatArray
    key: FloatArray
    add: FloatArray


class BlendWeights(NamedTuple):
    """Of `blend.onnx`: `first` [len(INPUTS), width], `second` [width, width], `last` [width]."""

    first: FloatArray
    first_bias: FloatArray
    second: FloatArray
    second_bias: FloatArray
    last: FloatArray
    last_bias: float


class _Node(NamedTuple):
    operator: str
    inputs: list[str]


class _Graph(NamedTuple):
    nodes: dict[str, _Node]
    tensors: dict[str, npt.NDArray[Any]]


def read_encoder(raw: bytes) -> EncoderWeights:
    """The weights of an encoder as `endcap.export.stages` writes it.

    Raises:
        BundleError: it is another graph.
    """
    graph = _read(raw)
    try:
        held = {name.removeprefix(_PREFIX): each for name, each in graph.tensors.items()}
        blocks: list[BlockWeights] = []
        while f"blocks.h.{len(blocks)}.ln_1.weight" in held:
            own = f"blocks.h.{len(blocks)}."
            parts = ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
            both = (held[f"{own}{part}.{kind}"] for part in parts for kind in ("weight", "bias"))
            blocks.append(BlockWeights(*both))
        turned = {
            part: held[graph.nodes[f"/encoder/{part}/MatMul"].inputs[1]]
            for part in ("ask", "key", "add")
        }
        return EncoderWeights(
            heads=held["encoder.heads"].size,
            types=held["types.weight"],
            gaps=held["gaps.weight"],
            places=held["blocks.wpe.weight"],
            blocks=tuple(blocks),
            ln_weight=held["blocks.ln_f.weight"],
            ln_bias=held["blocks.ln_f.bias"],
            **turned,
        )
    except (KeyError, IndexError) as error:
        raise BundleError(f"The encoder's graph has no {error.args[0]}.") from error


def read_blend(raw: bytes) -> BlendWeights:
    """The weights of a blend as `endcap.export.stages` writes it.

    Raises:
        BundleError: it is another graph.
    """
    graph = _read(raw)
    layers = [node for node in graph.nodes.values() if node.operator != "Constant"]
    if [node.operator for node in layers] != _BLEND:
        said = ", ".join(node.operator for node in layers)
        raise BundleError(f"The blend's graph is not two layers with ReLU and a sum: {said}.")
    weights = [graph.tensors.get(name) for node in layers[::2] for name in node.inputs[1:]]
    first, first_bias, second, second_bias, last, last_bias = (
        np.zeros((0, 0), np.float32) if each is None else each for each in weights
    )
    return BlendWeights(
        first.T, first_bias, second.T, second_bias, last.reshape(-1), float(last_bias.sum())
    )


def fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, the field as it stands, and what it holds (nothing where that is a number).

    Raises:
        BundleError: the message is no ONNX file, or a part of one.
    """
    for number, start, held, end, _ in _walk(message):
        yield number, message[start:end], message[held:end]


def _walk(message: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    at = 0
    while at < len(message):
        start = at
        tag, at = _read_number(message, at)
        kind = tag & 7
        if kind not in {VARINT, BYTES}:
            raise BundleError(
                f"The model is no ONNX file: a field of kind {kind} at byte {start}. Fetch the "
                "bundle again or train it anew."
            )
        size, at = _read_number(message, at)
        end = at + size if kind == BYTES else at
        yield tag >> 3, start, at, end, size
        at = end


def _read_number(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message):
            raise BundleError(
                "The model ends within a number: it is no ONNX file, or a part of one. Fetch the "
                "bundle again or train it anew."
            )
        byte = message[at]
        value |= (byte & 127) << shift
        shift += 7
        at += 1
        if byte < 128:
            return value, at


def _read(raw: bytes) -> _Graph:
    nodes: dict[str, _Node] = {}
    tensors: dict[str, npt.NDArray[Any]] = {}
    for number, _, graph in fields(raw):
        if number != _GRAPH:
            continue
        for part, _, message in fields(graph):
            if part == _NODE:
                name, node = _node(message)
                nodes[name or str(len(nodes))] = node
            elif part == _INITIALISER:
                name, tensor = _tensor(message)
                if tensor is not None:
                    tensors[name] = tensor
    return _Graph(nodes, tensors)


def _node(message: bytes) -> tuple[str, _Node]:
    name, node = "", _Node("", [])
    for number, _, held in fields(message):
        if number == _NODE_INPUT:
            node.inputs.append(held.decode())
        elif number == _NODE_NAME:
            name = held.decode()
        elif number == _NODE_OPERATOR:
            node = node._replace(operator=held.decode())
    return name, node


def _tensor(message: bytes) -> tuple[str, npt.NDArray[Any] | None]:
    """None where its numbers are of a type that the stages do not have."""
    dims: list[int] = []
    name, raw, kind = "", b"", 0
    for number, _, held, end, size in _walk(message):
        if number == _DIMS:
            dims.append(size)
        elif number == _TYPE:
            kind = size
        elif number == _NAME:
            name = message[held:end].decode()
        elif number == _RAW:
            raw = message[held:end]
    if kind not in _ELEMENT:
        return name, None
    return name, np.frombuffer(raw, _ELEMENT[kind]).reshape(dims)
