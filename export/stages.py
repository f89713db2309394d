"""The encoder and the blend as graphs of their own, for a scorer that pads nothing.

The same weights as the whole graph (`onnx_graph.py`), which stays what the stages are held
against. The encoder reads events of all sessions one after the other; only attention looks at them
session by session. The blend reads rows; its standardisation is folded into its first layer.
"""

import math
from collections.abc import Sequence
from typing import Any

import onnxruntime
import torch
from optimum.exporters.onnx import OnnxConfig
from optimum.utils import DummyInputGenerator, NormalizedConfig
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from endcap.arrays import FloatArray
from endcap.candidates.features import INPUTS, facts_of
from endcap.candidates.generators import Generators
from endcap.export.blend import BlendedRescorer
from endcap.export.encoder import SessionEncoder
from endcap.export.onnx_graph import worst_of
from endcap.export.optimum_export import optimum_export
from endcap.export.questions import Asked
from endcap.scoring import Runners, StagedModel, StageGraphs
from endcap.scoring.packed import Packed
from endcap.scoring.staged import IS_BUILT


class PackedEncoder(nn.Module):
    """`SessionEncoder.states` at each session's newest event, without padding.

    Sessions stand at the left of `places`, so that whoever looks back sees events alone: attention
    needs the causal mask and no other. Heads are taken apart and put together by gathering rows,
    which is quicker on a CPU than turning arrays, and leaves few operations on shapes in the graph.
    """

    hidden_from: Tensor
    heads: Tensor

    def __init__(self, encoder: SessionEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        length = encoder.options.length
        self.register_buffer("hidden_from", torch.full((length, length), -1e9).triu(1))
        self.register_buffer("heads", torch.arange(encoder.options.heads))

    def forward(
        self,
        item_vectors: Tensor,
        event_types: Tensor,
        time_gaps: Tensor,
        positions: Tensor,
        rows: Tensor,
        places: Tensor,
        last: Tensor,
    ) -> Tensor:
        """Queries [B, d] of the fields of `Packed`, normalised."""
        encoder, dim = self.encoder, self.encoder.options.dim
        scaled = item_vectors * (0.3 * math.sqrt(dim))
        blocks = encoder.blocks
        hidden = scaled + encoder.types(event_types) + encoder.gaps(time_gaps)
        hidden = hidden + blocks.wpe(positions)
        span = places.shape[1]
        hidden_from = self.hidden_from[:span, :span]
        # Of q, k and v, for each head: its rows among (T + 1) * 3 * heads.
        split = places.unsqueeze(1) * (3 * encoder.options.heads) + self.heads.view(1, -1, 1)
        joined = (rows.unsqueeze(1) * encoder.options.heads + self.heads) * span
        joined = joined + positions.unsqueeze(1)
        for block in blocks.h:
            heard = self._attend(block, hidden, split, joined, hidden_from)
            hidden = hidden + heard
            hidden = hidden + block.mlp(block.ln_2(hidden))
        hidden = blocks.ln_f(hidden)
        newest = hidden[last]
        weights = _with_nothing(encoder.key(hidden))[places] @ encoder.ask(newest).unsqueeze(2)
        weights = weights.squeeze(2) / math.sqrt(dim) + (places == 0) * -1e9
        mixed = weights.softmax(dim=-1).unsqueeze(1) @ _with_nothing(scaled)[places]
        return nn.functional.normalize(mixed.squeeze(1) + encoder.add(newest), dim=-1)

    def _attend(
        self, block: nn.Module, hidden: Tensor, split: Tensor, joined: Tensor, hidden_from: Tensor
    ) -> Tensor:
        heads, dim = self.encoder.options.heads, self.encoder.options.dim
        attention: Any = block.attn
        parts = _with_nothing(attention.c_attn(block.ln_1(hidden)))  # type: ignore[operator]
        parts = parts.view(-1, dim // heads)
        query, key, value = (parts[split + number * heads] for number in range(3))
        weights = query @ key.transpose(2, 3) / math.sqrt(dim // heads) + hidden_from
        heard = (weights.softmax(dim=-1) @ value).view(-1, dim // heads)
        done: Tensor = attention.c_proj(heard[joined].view(-1, dim))
        return done


class FoldedBlend(nn.Module):
    """`BlendedRescorer.weigh` of rows, without its standardisation: that is in the first layer."""

    def __init__(self, model: BlendedRescorer) -> None:
        super().__init__()
        first = nn.Linear(len(INPUTS), model.options.width)
        with torch.no_grad():
            weight = model.first.weight / model.deviation
            first.weight.copy_(weight)
            first.bias.copy_(model.first.bias - weight @ model.mean)
        self.network = nn.Sequential(first, *list(model.network)[1:])

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores [M] of inputs [M, len(INPUTS)]."""
        scores: Tensor = self.network(inputs).squeeze(-1)
        return scores


def export_stages(model: BlendedRescorer) -> StageGraphs:
    """Both graphs, by Optimum."""
    model.eval()
    options = model.encoder.options
    config = _Config(dim=options.dim)
    encoder = _ExportableEncoder(config, PackedEncoder(model.encoder)).eval()
    blend = _ExportableBlend(config, FoldedBlend(model)).eval()
    return StageGraphs(
        optimum_export(encoder, _EncoderConfig(config, task="feature-extraction")),
        optimum_export(blend, _BlendConfig(config, task="feature-extraction")),
        float(model.encoder.log_temperature.detach().exp()),
        model.options.own,
        options.layers,
        model.options.width,
        model.encoder.items.weight.detach().numpy(),
    )


def run_stages(graphs: StageGraphs) -> Runners:
    """On the CPU provider."""
    encoder, blend = (
        onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        for graph in (graphs.encoder, graphs.blend)
    )

    def encode(packed: Packed) -> FloatArray:
        queries: FloatArray = encoder.run(["queries"], packed._asdict())[0]
        return queries

    def weigh(inputs: FloatArray) -> FloatArray:
        scores: FloatArray = blend.run(["scores"], {"inputs": inputs})[0]
        return scores

    return Runners(encode, weigh)


def largest_difference_of_stages(
    model: BlendedRescorer, graphs: StageGraphs, generators: Generators, asked: Sequence[Asked]
) -> float:
    """The largest absolute difference of an item's score between torch and the stages, in graphs
    and compiled.

    Raises:
        EndcapError: it is above `TOLERANCE`; such a model must not be served.
    """
    facts, length = facts_of(generators), model.encoder.options.length
    return max(
        worst_of(
            model,
            ((each.batch(), staged.score(each.crowd, each.gathered).padded()) for each in asked),
        )
        for staged in (
            StagedModel(graphs, run_stages(graphs), facts, length, natively)
            for natively in {IS_BUILT, False}
        )
    )


def _with_nothing(packed: Tensor) -> Tensor:
    """[T, n] as [T + 1, n]: row 0 is what stands where there is no event."""
    return nn.functional.pad(packed, (0, 0, 1, 0))


class _Config(PretrainedConfig):  # type: ignore[misc]
    model_type = "endcap-stage"

    def __init__(self, dim: int = 8, **more: Any) -> None:
        self.dim = dim
        super().__init__(**more)


class _ExportableEncoder(PreTrainedModel):  # type: ignore[misc]
    """The wrapper: a Hugging Face model is what Optimum exports."""

    config_class = _Config

    def __init__(self, config: _Config, encoder: PackedEncoder) -> None:
        super().__init__(config)
        self.encoder = encoder

    def forward(
        self,
        item_vectors: Tensor,
        event_types: Tensor,
        time_gaps: Tensor,
        positions: Tensor,
        rows: Tensor,
        places: Tensor,
        last: Tensor,
    ) -> dict[str, Tensor]:
        packed = (item_vectors, event_types, time_gaps, positions, rows, places, last)
        return {"queries": self.encoder(*packed)}


class _ExportableBlend(PreTrainedModel):  # type: ignore[misc]
    """The wrapper: a Hugging Face model is what Optimum exports."""

    config_class = _Config

    def __init__(self, config: _Config, blend: FoldedBlend) -> None:
        super().__init__(config)
        self.blend = blend

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        return {"scores": self.blend(inputs)}


class _DummySessions(DummyInputGenerator):  # type: ignore[misc]
    """Three sessions: of three events, of one and of two."""

    SUPPORTED_INPUT_NAMES = Packed._fields

    def __init__(self, task: str, normalized_config: Any, **_: Any) -> None:
        self.config = normalized_config.config

    def generate(self, input_name: str, framework: str = "pt", **_: Any) -> Tensor:
        if input_name == "item_vectors":
            return torch.randn(6, self.config.dim)
        packed = {
            "places": [[1, 2, 3], [4, 0, 0], [5, 6, 0]],
            "rows": [0, 0, 0, 1, 2, 2],
            "last": [2, 3, 5],
            "positions": [0, 1, 2, 0, 0, 1],
        }
        return torch.tensor(packed.get(input_name, [1, 2, 3, 1, 2, 3]))


class _DummyRows(DummyInputGenerator):  # type: ignore[misc]
    SUPPORTED_INPUT_NAMES = ("inputs",)

    def __init__(self, task: str, normalized_config: Any, **_: Any) -> None:
        """Optimum gives what nothing here depends on."""

    def generate(self, input_name: str, framework: str = "pt", **_: Any) -> Tensor:
        return torch.randn(5, len(INPUTS))


class _EncoderConfig(OnnxConfig):  # type: ignore[misc]
    NORMALIZED_CONFIG_CLASS = NormalizedConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (_DummySessions,)
    DEFAULT_ONNX_OPSET = 18

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        """Events, sessions and the longest of these are all dynamic."""
        axes = {name: {0: "events"} for name in Packed._fields}
        return axes | {"places": {0: "sessions", 1: "longest"}, "last": {0: "sessions"}}

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        return {"queries": {0: "sessions"}}


class _BlendConfig(OnnxConfig):  # type: ignore[misc]
    NORMALIZED_CONFIG_CLASS = NormalizedConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (_DummyRows,)
    DEFAULT_ONNX_OPSET = 18

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        """Any number of rows."""
        return {"inputs": {0: "rows"}}

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        return {"scores": {0: "rows"}}
