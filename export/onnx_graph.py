"""Export the rescorer by Optimum and hold the ONNX graph against torch."""

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from optimum.exporters.onnx import OnnxConfig
from optimum.exporters.onnx.convert import export
from optimum.utils import DummyInputGenerator, NormalizedConfig
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from endcap.batches import Batch
from endcap.arrays import FloatArray
from endcap.errors import EndcapError
from endcap.export.transformer import N_TYPES, Rescorer

TOLERANCE = 1e-4
INPUTS = ("item_ids", "event_types", "candidate_ids", "features")


class RescorerConfig(PretrainedConfig):  # type: ignore[misc]
    """What Optimum needs to know of the model to make its dummy inputs."""

    model_type = "endcap-rescorer"

    def __init__(
        self, n_items: int = 2, n_features: int = 1, length: int = 50, **more: Any
    ) -> None:
        self.n_items, self.n_features, self.length = n_items, n_features, length
        super().__init__(**more)


class ExportableRescorer(PreTrainedModel):  # type: ignore[misc]
    """The wrapper: a Hugging Face model is what Optimum exports."""

    config_class = RescorerConfig

    def __init__(self, config: RescorerConfig, rescorer: Rescorer) -> None:
        super().__init__(config)
        self.rescorer = rescorer

    def forward(
        self, item_ids: Tensor, event_types: Tensor, candidate_ids: Tensor, features: Tensor
    ) -> dict[str, Tensor]:
        """Scores under the name that the graph gives its output."""
        return {"scores": self.rescorer(item_ids, event_types, candidate_ids, features)}


class _DummyInputs(DummyInputGenerator):  # type: ignore[misc]
    SUPPORTED_INPUT_NAMES = INPUTS

    def __init__(self, task: str, normalized_config: Any, **_: Any) -> None:
        self.config = normalized_config.config

    def generate(self, input_name: str, framework: str = "pt", **_: Any) -> Tensor:
        rows, span, width = 3, 11, 17
        if input_name == "features":
            return torch.rand(rows, width, self.config.n_features)
        shape = (rows, width) if input_name == "candidate_ids" else (rows, span)
        high = N_TYPES if input_name == "event_types" else self.config.n_items + 1
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
            "candidate_ids": {0: "batch", 1: "candidates"},
            "features": {0: "batch", 1: "candidates"},
        }

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        """One score a candidate."""
        return {"scores": {0: "batch", 1: "candidates"}}


def export_onnx(model: Rescorer, n_features: int) -> bytes:
    """The ONNX graph's bytes."""
    model.eval()
    config = RescorerConfig(model.items.num_embeddings - 1, n_features, model.length)
    wrapped = ExportableRescorer(config, model).eval()
    logging.getLogger("optimum").setLevel(logging.ERROR)
    # The exporter warns of what it traced as constants and of negative indexes: whether the graph
    # is right is not left to its opinion, `largest_difference` compares it with torch.
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        export(wrapped, RescorerOnnxConfig(config, task="feature-extraction"), path, opset=18)
        return path.read_bytes()


def largest_difference(model: Rescorer, graph: bytes, batches: list[Batch]) -> float:
    """The largest absolute difference of a score between torch and ONNX Runtime.

    Raises:
        EndcapError: it is above `TOLERANCE`; such a graph must not be served.
    """
    score = onnx_scorer(graph)
    worst = 0.0
    for batch in batches:
        with torch.no_grad():
            expected = model(*(torch.from_numpy(array) for array in batch)).numpy()
        worst = max(worst, float(np.abs(expected - score(batch)).max()))
    if worst > TOLERANCE:
        raise EndcapError(
            f"The ONNX graph differs from torch by {worst:.2e}, more than {TOLERANCE}. "
            "Do not serve it; try another version of optimum-onnx or torch (constraints.txt)."
        )
    return worst


def onnx_scorer(graph: bytes) -> Any:
    """A function Batch -> scores [B, C] on the CPU provider."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def score(batch: Batch) -> FloatArray:
        scores: FloatArray = session.run(["scores"], batch._asdict())[0]
        return scores

    return score
