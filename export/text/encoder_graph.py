"""A sentence encoder as one ONNX graph by Optimum: pooling and normalisation inside."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from optimum.exporters.onnx import OnnxConfig
from optimum.utils import DummyInputGenerator, NormalizedConfig
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from endcap.errors import DataError, EndcapError
from endcap.export.optimum_export import optimum_export
from endcap.export.text.teacher import SentenceModel, Teacher

ENCODER_FILES = ("encoder.onnx", "tokenizer.json")
TOLERANCE = 1e-4
_TRIAL = ("milk", "Fluid milk white only, 1 ga", "a laptop, a mouse, and a keyboard " * 4)


class _Config(PretrainedConfig):  # type: ignore[misc]
    model_type = "endcap-sentence-encoder"

    def __init__(self, n_pieces: int = 2, **more: Any) -> None:
        self.n_pieces = n_pieces
        super().__init__(**more)


class _Exportable(PreTrainedModel):  # type: ignore[misc]
    """The wrapper: a Hugging Face model is what Optimum exports."""

    config_class = _Config

    def __init__(self, config: _Config, model: SentenceModel) -> None:
        super().__init__(config)
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        return {"vectors": self.model(input_ids, attention_mask)}


class _DummyInputs(DummyInputGenerator):  # type: ignore[misc]
    SUPPORTED_INPUT_NAMES = ("input_ids", "attention_mask")

    def __init__(self, task: str, normalized_config: Any, **_: Any) -> None:
        self.config = normalized_config.config

    def generate(self, input_name: str, framework: str = "pt", **_: Any) -> Tensor:
        if input_name == "attention_mask":
            return torch.ones(3, 11, dtype=torch.long)
        return torch.randint(0, self.config.n_pieces, (3, 11))


class _OnnxConfig(OnnxConfig):  # type: ignore[misc]
    NORMALIZED_CONFIG_CLASS = NormalizedConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (_DummyInputs,)
    DEFAULT_ONNX_OPSET = 18

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        return {name: {0: "batch", 1: "length"} for name in _DummyInputs.SUPPORTED_INPUT_NAMES}

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        return {"vectors": {0: "batch"}}


def export_encoder(teacher: Teacher, out: Path) -> float:
    """Write `encoder.onnx` and `tokenizer.json`; returns the largest difference from torch.

    Raises:
        DataError: the folder has no `tokenizer.json` (a slow tokenizer cannot be served).
        EndcapError: the graph differs from torch by more than `TOLERANCE`.
    """
    tokenizer = teacher.folder / "tokenizer.json"
    if not tokenizer.exists():
        raise DataError(
            f"{teacher.folder} has no tokenizer.json. Save its fast tokenizer there: "
            "AutoTokenizer.from_pretrained(folder, use_fast=True).save_pretrained(folder)."
        )
    out.mkdir(parents=True, exist_ok=True)
    graph = _graph(teacher)
    worst = _largest_difference(teacher, graph)
    if worst > TOLERANCE:
        raise EndcapError(
            f"The encoder's ONNX graph differs from torch by {worst:.2e}, more than {TOLERANCE}. "
            "Do not use it; try another version of optimum-onnx or torch (constraints.txt)."
        )
    (out / "encoder.onnx").write_bytes(graph)
    shutil.copyfile(tokenizer, out / "tokenizer.json")
    return worst


def _graph(teacher: Teacher) -> bytes:
    config = _Config(len(teacher.vocabulary))
    wrapped = _Exportable(config, teacher.model).eval()
    return optimum_export(wrapped, _OnnxConfig(config, task="feature-extraction"))


def _largest_difference(teacher: Teacher, graph: bytes) -> float:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    worst = 0.0
    for texts in (_TRIAL[:1], _TRIAL):
        ids, mask = teacher.inputs(texts)
        made = session.run(["vectors"], {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
        worst = max(worst, float(np.abs(made[0] - teacher.encode(texts)).max()))
    return worst
