"""An ONNX graph by Optimum, of whatever is wrapped as a Hugging Face model."""

import logging
import tempfile
import warnings
from pathlib import Path

from optimum.exporters.onnx import OnnxConfig
from optimum.exporters.onnx.convert import export
from transformers import PreTrainedModel


def optimum_export(model: PreTrainedModel, config: OnnxConfig) -> bytes:
    """The graph's bytes.

    Its warnings are of what it traced as constants and of negative indexes: whether the graph is
    right is not left to its opinion. Compare it with torch.
    """
    logging.getLogger("optimum").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        export(model, config, path, opset=config.DEFAULT_ONNX_OPSET)
        return path.read_bytes()
