"""The item table as one int8 copy that the look-up and the product over the catalogue share.

The graph reads the table twice: rows of the session's items, and all rows against the query, both
normalised. Only directions count, so a row is kept as int8 without a scale: what is looked up is
normalised by the graph as before, and the product is divided by each row's length. ONNX Runtime's
own quantiser makes two tables of it, one turned, or leaves the product alone, whose table is no
constant but is computed.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from endcap.errors import BundleError

ITEM_TABLE = "rescorer.encoder.items.weight"
LARGEST = 64
"""Seven bits. Without VNNI a CPU adds two products of uint8 and int8 in 16 bits: 2 x 255 x 127 does
not fit there, 2 x 255 x 64 does, and a bundle must say the same on any machine."""


class TableUse(NamedTuple):
    """Where the graph reads the item table: the look-up, and the product with the turned rows."""

    table: TensorProto
    lookup: NodeProto
    product: NodeProto


def use_of_table(model: ModelProto) -> TableUse:
    """Find both.

    Raises:
        BundleError: the graph is not one that `endcap train` exports, or is quantised already.
    """
    tables = [t for t in model.graph.initializer if t.name == ITEM_TABLE]
    if not tables or tables[0].data_type != TensorProto.FLOAT:
        raise BundleError(
            "The bundle's graph has no item table in float32: it is quantised already, or is not "
            "one that `endcap train` made. Name the bundle that it was made from."
        )
    lookup = _readers(model, ITEM_TABLE, "Gather")
    turned = [
        output
        for divided in _readers(model, ITEM_TABLE, "Div")
        for transposed in _readers(model, divided.output[0], "Transpose")
        for output in transposed.output
    ]
    product = [node for name in turned for node in _readers(model, name, "MatMul")]
    if len(lookup) != 1 or len(product) != 1:
        raise BundleError(
            f"The graph reads its item table in {len(lookup)} look-ups and {len(product)} products "
            "where one of each is due: it was exported by another version. Train it again."
        )
    return TableUse(tables[0], lookup[0], product[0])


def with_int8_table(model: ModelProto, query_scale: float | None) -> ModelProto:
    """The same graph with one int8 table.

    `query_scale`: the query's step, where it was calibrated; None measures each batch's own.

    1. Keep each row's direction in int8 and the inverse of its length.
    2. Look up int8 rows, as floats; the graph normalises them.
    3. Multiply the query's int8 with the turned table; undo the scales.
    4. Remove what computed the normalised table.
    """
    changed = ModelProto()
    changed.CopyFrom(model)
    use = use_of_table(changed)
    rows, inverse = _directions(numpy_helper.to_array(use.table))
    graph = changed.graph
    graph.initializer.remove(use.table)
    graph.initializer.extend(
        [
            numpy_helper.from_array(rows, "item_directions"),
            numpy_helper.from_array(inverse, "item_inverse_lengths"),
        ]
    )
    looked_up = use.lookup.output[0]
    use.lookup.input[0] = "item_directions"
    use.lookup.output[0] = "item_rows_int8"
    as_float = helper.make_node(
        "Cast", ["item_rows_int8"], [looked_up], "item_rows_as_float", to=TensorProto.FLOAT
    )
    _insert_after(changed, use.lookup, [as_float])
    product = _int8_product(changed, use.product, query_scale)
    _insert_after(changed, use.product, product)
    graph.node.remove(use.product)
    remove_unread(changed)
    onnx.checker.check_model(changed)
    return changed


def _directions(
    table: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    largest = np.abs(table).max(axis=1, keepdims=True)
    rows = np.rint(table / np.maximum(largest, 1e-12) * LARGEST).astype(np.int8)
    lengths = np.linalg.norm(rows.astype(np.float32), axis=1)
    return rows, np.where(lengths > 0, 1.0 / np.maximum(lengths, 1e-12), 0.0).astype(np.float32)


def _int8_product(model: ModelProto, product: NodeProto, scale: float | None) -> list[NodeProto]:
    query, found = product.input[0], product.output[0]
    if scale is None:
        quantise = helper.make_node(
            "DynamicQuantizeLinear", [query], ["query_int8", "query_scale", "query_zero"]
        )
    else:
        model.graph.initializer.extend(
            [
                numpy_helper.from_array(np.array(scale, dtype=np.float32), "query_scale"),
                numpy_helper.from_array(np.array(128, dtype=np.uint8), "query_zero"),
            ]
        )
        quantise = helper.make_node(
            "QuantizeLinear", [query, "query_scale", "query_zero"], ["query_int8"]
        )
    return [
        quantise,
        helper.make_node("Transpose", ["item_directions"], ["item_columns"], perm=[1, 0]),
        helper.make_node(
            "MatMulInteger", ["query_int8", "item_columns", "query_zero"], ["product_int32"]
        ),
        helper.make_node("Cast", ["product_int32"], ["product"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["query_scale", "item_inverse_lengths"], ["product_scales"]),
        helper.make_node("Mul", ["product", "product_scales"], [found]),
    ]


def _readers(model: ModelProto, name: str, kind: str) -> list[NodeProto]:
    return [node for node in model.graph.node if node.op_type == kind and name in node.input]


def _insert_after(model: ModelProto, node: NodeProto, new: Iterable[NodeProto]) -> None:
    at = list(model.graph.node).index(node) + 1
    for offset, each in enumerate(new):
        model.graph.node.insert(at + offset, each)


def remove_unread(model: ModelProto) -> None:
    kept = {output.name for output in model.graph.output}
    while True:
        read = kept.union(*(node.input for node in model.graph.node))
        dead = [n for n in model.graph.node if not read.intersection(n.output)]
        if not dead:
            break
        for node in dead:
            model.graph.node.remove(node)
    for tensor in [t for t in model.graph.initializer if t.name not in read]:
        model.graph.initializer.remove(tensor)
