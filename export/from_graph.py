"""The torch model that a bundle's whole graph was exported from."""

from collections.abc import Callable

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from endcap.batches import Batch, ScoredItems, make_batch
from endcap.bundle import Bundle
from endcap.errors import BundleError, EndcapError
from endcap.export.blend import BlendedRescorer, BlendOptions
from endcap.export.encoder import EncoderOptions, SessionEncoder
from endcap.export.onnx_graph import largest_difference
from endcap.sessions import Interaction, Session

_PREFIX = "rescorer."
_TURNED = {
    "/rescorer/ask/MatMul": "encoder.ask.weight",
    "/rescorer/key/MatMul": "encoder.key.weight",
    "/rescorer/add/MatMul": "encoder.add.weight",
    "/rescorer/network/first/MatMul": "first.weight",
    "/rescorer/network/network.3/MatMul": "network.3.weight",
    "/rescorer/network/network.5/MatMul": "network.5.weight",
}
"""Weights that the exporter turns, and takes the names of: the nodes that read them."""


def model_of(bundle: Bundle) -> BlendedRescorer:
    """Read the weights back, and see that the model answers as the graph does.

    Raises:
        BundleError: the graph is in int8, or of another version of endcap.
    """
    graph = onnx.load_from_string(bundle.model).graph
    held = {each.name: _tensor(each) for each in graph.initializer}
    weights = {
        name.removeprefix(_PREFIX): tensor
        for name, tensor in held.items()
        if name.startswith(_PREFIX)
    }
    for node in graph.node:
        if node.name in _TURNED and node.input[1] in held:
            weights[_TURNED[node.name]] = held[node.input[1]].T
    weights |= {
        f"network.0.{part}": weights[f"first.{part}"]
        for part in ("weight", "bias")
        if f"first.{part}" in weights
    }
    sample = [_a_few_views(bundle)]
    # How many heads there are is not told by the size of any weight.
    for heads in (2, 1, 4, 8):
        try:
            model = _with(weights, heads, _own(graph))
            largest_difference(model, bundle.model, sample)
        except (KeyError, RuntimeError, EndcapError):
            continue
        return model
    raise BundleError(
        f"The weights of bundle {bundle.manifest.name} cannot be read back from its graph: it is "
        "in int8, or of another version of endcap. Train it again, or take the bundle that it was "
        "made from."
    )


def eager_of(bundle: Bundle) -> Callable[[Batch], ScoredItems]:
    """The eager model over padded batches, on as many threads as torch has; to measure by.

    Raises:
        BundleError: as `model_of`.
    """
    model = model_of(bundle)

    def score(batch: Batch) -> ScoredItems:
        with torch.inference_mode():
            ids, scores = model(*(torch.from_numpy(array) for array in batch))
        return ScoredItems(ids.numpy(), scores.numpy())

    return score


def _own(graph: onnx.GraphProto) -> int:
    """How many of its nearest items the Transformer adds: what the graph asks TopK for."""
    [top] = [node for node in graph.node if node.op_type == "TopK"]
    [asked] = [node for node in graph.node if top.input[1] in node.output]
    return int(numpy_helper.to_array(asked.attribute[0].t).item())


def _with(weights: dict[str, Tensor], heads: int, own: int) -> BlendedRescorer:
    rows, dim = weights["encoder.items.weight"].shape
    layers = len([name for name in weights if name.endswith(".ln_1.weight")])
    length = weights["encoder.blocks.wpe.weight"].shape[0]
    if dim % heads:
        raise KeyError(heads)
    options = EncoderOptions(dim=dim, layers=layers, heads=heads, length=length)
    blend = BlendOptions(width=weights["first.bias"].shape[0], own=own)
    model = BlendedRescorer(SessionEncoder(rows - 1, options), blend)
    # GPT-2's own table of tokens: nothing reads it, so no graph has it.
    unread = {name: held for name, held in model.state_dict().items() if ".wte." in name}
    model.load_state_dict(weights | unread)
    return model.eval()


def _a_few_views(bundle: Bundle) -> Batch:
    """Shoppers who looked at one item, at two, and so on."""
    known = list(bundle.met)
    sessions = [
        Session(
            str(n),
            tuple(Interaction(known[(7 * n + at) % len(known)], 1, at) for at in range(n)),
            updated_ms=n,
        )
        for n in range(9)
    ]
    crowd = bundle.crowd(sessions)
    return make_batch(crowd, bundle.gatherer.gather(crowd), bundle.manifest.max_length)


def _tensor(held: onnx.TensorProto) -> Tensor:
    return torch.from_numpy(np.array(numpy_helper.to_array(held)))
