"""Export the rescorer by Optimum and hold the ONNX graph against torch."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import onnxruntime
import torch
from optimum.exporters.onnx import OnnxConfig
from optimum.utils import DummyInputGenerator, NormalizedConfig
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from endcap.batches import Batch, ScoredItems
from endcap.candidates import CONTEXT, FEATURES
from endcap.errors import EndcapError
from endcap.export.blend import BlendedRescorer
from endcap.export.encoder import N_GAPS, N_TYPES
from endcap.export.optimum_export import optimum_export

TOLERANCE = 1e-3
"""Of a score. Logarithms of probabilities over a catalogue lose three digits of the seven."""


class RescorerConfig(PretrainedConfig):  # type: ignore[misc]
    """What Optimum needs to know of the model to make its dummy inputs."""

    model_type = "endcap-rescorer"

    def __init__(self, n_items: int = 2, length: int = 50, **more: Any) -> None:
        self.n_items, self.length = n_items, length
        super().__init__(**more)


class ExportableRescorer(PreTrainedModel):  # type: ignore[misc]
    """The wrapper: a Hugging Face model is what Optimum exports."""

    config_class = RescorerConfig

    def __init__(self, config: RescorerConfig, rescorer: BlendedRescorer) -> None:
        super().__init__(config)
        self.rescorer = rescorer

    def forward(
        self,
        item_ids: Tensor,
        event_types: Tensor,
        time_gaps: Tensor,
        candidate_ids: Tensor,
        features: Tensor,
        context: Tensor,
    ) -> dict[str, Tensor]:
        """What the graph gives, under its names."""
        ids, scores = self.rescorer(
            item_ids, event_types, time_gaps, candidate_ids, features, context
        )
        return {"ids": ids, "scores": scores}


class _DummyInputs(DummyInputGenerator):  # type: ignore[misc]
    SUPPORTED_INPUT_NAMES = Batch._fields

    def __init__(self, task: str, normalized_config: Any, **_: Any) -> None:
        self.config = normalized_config.config

    def generate(self, input_name: str, framework: str = "pt", **_: Any) -> Tensor:
        rows, span, width = 3, 11, 17
        if input_name == "features":
            return torch.rand(rows, width, len(FEATURES))
        if input_name == "context":
            return torch.rand(rows, len(CONTEXT))
        shape = (rows, width) if input_name == "candidate_ids" else (rows, span)
        high = {"event_types": N_TYPES, "time_gaps": N_GAPS}.get(
            input_name, self.config.n_items + 1
        )
        return torch.randint(1, high, shape)


class RescorerOnnxConfig(OnnxConfig):  # type: ignore[misc]
    """Names and dynamic axes; Optimum keeps a name only where its axes are listed."""

    NORMALIZED_CONFIG_CLASS = NormalizedConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (_DummyInputs,)
    DEFAULT_ONNX_OPSET = 18

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        """Batch, length and candidates are all dynamic."""
        return {
            "item_ids": {0: "batch", 1: "length"},
            "event_types": {0: "batch", 1: "length"},
            "time_gaps": {0: "batch", 1: "length"},
            "candidate_ids": {0: "batch", 1: "candidates"},
            "features": {0: "batch", 1: "candidates"},
            "context": {0: "batch"},
        }

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        """An item and its score for each candidate and each item that the graph adds."""
        return {"ids": {0: "batch", 1: "scored"}, "scores": {0: "batch", 1: "scored"}}


def export_onnx(model: BlendedRescorer) -> bytes:
    """The ONNX graph's bytes."""
    model.eval()
    config = RescorerConfig(model.encoder.n_items, model.encoder.options.length)
    # The exporter cannot follow the fused attention that training uses.
    model.encoder.blocks.config._attn_implementation = "eager"
    wrapped = ExportableRescorer(config, model).eval()
    return optimum_export(wrapped, RescorerOnnxConfig(config, task="feature-extraction"))


def largest_difference(model: BlendedRescorer, graph: bytes, batches: Sequence[Batch]) -> float:
    """The largest absolute difference of an item's score between torch and ONNX Runtime.

    Raises:
        EndcapError: it is above `TOLERANCE`; such a graph must not be served.
    """
    score = onnx_scorer(graph)
    return worst_of(model, ((batch, score(batch)) for batch in batches))


def worst_of(model: BlendedRescorer, answers: Iterable[tuple[Batch, ScoredItems]]) -> float:
    """The largest absolute difference of an item's score from torch's, over batches and what was
    answered.

    Items are compared by id: among equals the two may add another.

    Raises:
        EndcapError: it is above `TOLERANCE`.
    """
    worst = 0.0
    for batch, found in answers:
        with torch.no_grad():
            ids, expected = model(*(torch.from_numpy(array) for array in batch))
        for row in range(ids.shape[0]):
            ours = dict(zip(ids[row].tolist(), expected[row].tolist(), strict=True))
            theirs = dict(zip(found.ids[row].tolist(), found.scores[row].tolist(), strict=True))
            both = ours.keys() & theirs.keys() - {0}
            worst = max([worst, *(abs(ours[item] - theirs[item]) for item in both)])
    if worst > TOLERANCE:
        raise EndcapError(
            f"The ONNX graph differs from torch by {worst:.2e}, more than {TOLERANCE}. "
            "Do not serve it; try another version of optimum-onnx or torch (constraints.txt)."
        )
    return worst


def onnx_scorer(graph: bytes) -> Callable[[Batch], ScoredItems]:
    """A function Batch -> scored items on the CPU provider."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def score(batch: Batch) -> ScoredItems:
        ids, scores = session.run(["ids", "scores"], batch._asdict())
        return ScoredItems(ids, scores)

    return score
