"""A graph of `endcap train` in float16: the encoder, the item table, and the product of both.

From the cosines on all is float32: exponentials over a catalogue are summed, and the blend's inputs
are of very unlike spread. Ids stay int64; inputs and outputs are those of before.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from endcap.export.smaller.int8_table import ITEM_TABLE, remove_unread, use_of_table

_LARGEST = 65504.0
_SMALLEST = 6e-8
"""What is added so that nothing is divided by zero must not become zero itself."""


def in_half(graph: bytes) -> bytes:
    """The same graph, half as large.

    1. Make the item table's rows of length one, so that none is normalised in each call.
    2. Find all that the product of query and table is computed from.
    3. Give it its weights and constants in float16.
    4. Cast to float32 where the rest reads it.

    Raises:
        BundleError: as `use_of_table`.
    """
    model = onnx.load_from_string(graph)
    product = _with_rows_of_length_one(model)
    floats = _names_of_floats(model)
    inside = _ancestors(model, product)
    for node in inside:
        _give_type(node)
    constants = {name: array for name, array in _constants(model) if name in floats}
    given = {name for node in inside for name in node.input if name in constants}
    for name in sorted(given):
        half = numpy_helper.from_array(_as_half(constants[name]), _half(name))
        model.graph.initializer.append(half)
    _rename(inside, given)
    _cast_what_leaves(model, inside, floats - constants.keys())
    remove_unread(model)
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    raw: bytes = model.SerializeToString()
    return raw


def _with_rows_of_length_one(model: ModelProto) -> NodeProto:
    use = use_of_table(model)
    rows = numpy_helper.to_array(use.table).astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    use.table.CopyFrom(numpy_helper.from_array(rows / np.maximum(lengths, 1e-12), ITEM_TABLE))
    for node in model.graph.node:
        if node.op_type == "Transpose" and node.output[0] in use.product.input:
            node.input[0] = ITEM_TABLE
    remove_unread(model)
    return use.product


def _names_of_floats(model: ModelProto) -> set[str]:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    of_values = {
        each.name
        for each in (*inferred.value_info, *inferred.output)
        if each.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    of_weights = {t.name for t in inferred.initializer if t.data_type == TensorProto.FLOAT}
    return of_values | of_weights


def _ancestors(model: ModelProto, last: NodeProto) -> list[NodeProto]:
    """What `last` is computed from, and itself; constants are no part of it."""
    needed, found = set(last.output), []
    for node in reversed(model.graph.node):
        if node.op_type != "Constant" and needed.intersection(node.output):
            needed.update(node.input)
            found.append(node)
    return found[::-1]


def _constants(model: ModelProto) -> Iterable[tuple[str, npt.NDArray[np.generic]]]:
    for tensor in model.graph.initializer:
        yield tensor.name, numpy_helper.to_array(tensor)
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            yield node.output[0], numpy_helper.to_array(node.attribute[0].t)


def _give_type(node: NodeProto) -> None:
    """Of what a node makes, where it says so itself."""
    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16
        is_filling = node.op_type == "ConstantOfShape" and attribute.name == "value"
        if is_filling and attribute.t.data_type == TensorProto.FLOAT:
            half = _as_half(numpy_helper.to_array(attribute.t))
            attribute.t.CopyFrom(numpy_helper.from_array(half))


def _as_half(array: npt.NDArray[np.generic]) -> npt.NDArray[np.float16]:
    clipped = np.clip(array.astype(np.float32), -_LARGEST, _LARGEST)
    tiny = (clipped != 0) & (np.abs(clipped) < _SMALLEST)
    return np.where(tiny, np.copysign(_SMALLEST, clipped), clipped).astype(np.float16)


def _half(name: str) -> str:
    return f"{name}_half"


def _rename(nodes: Iterable[NodeProto], names: set[str]) -> None:
    """Inputs of these names are read in float16."""
    for node in nodes:
        for at, name in enumerate(node.input):
            if name in names:
                node.input[at] = _half(name)


def _cast_what_leaves(model: ModelProto, inside: list[NodeProto], floats: set[str]) -> None:
    made = {name for node in inside for name in node.output} & floats
    keys = {node.output[0] for node in inside}
    outside = [node for node in model.graph.node if node.output[0] not in keys]
    leaving = made.intersection(name for node in outside for name in node.input)
    _rename(inside, leaving)
    for node in inside:
        for at, name in enumerate(node.output):
            if name in leaving:
                node.output[at] = _half(name)
    # Nodes stand in an order in which each reads what stands before it.
    for node in list(model.graph.node):
        for name in leaving & {each.removesuffix("_half") for each in node.output}:
            cast = helper.make_node("Cast", [_half(name)], [name], to=TensorProto.FLOAT)
            model.graph.node.insert(list(model.graph.node).index(node) + 1, cast)
