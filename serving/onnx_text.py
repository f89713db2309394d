"""A sentence encoder in ONNX Runtime with its own tokenizer: any language, any model."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from endcap.arrays import FloatArray
from endcap.errors import BundleError, RuntimeConflictError
from endcap.serving.onnx_session import check_runtimes, installed_runtimes

_MAX_PIECES = 128
_BATCH = 64


class OnnxTextEncoder:
    """Implements `TextEncoder` from a folder with `encoder.onnx` and `tokenizer.json`.

    The graph takes `input_ids` and `attention_mask` [n, L] and gives `vectors` [n, d] of length 1,
    as `endcap.export.text.encoder_graph.export_encoder` writes it. `fingerprint`: its sha256.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        check_runtimes(installed_runtimes())
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise RuntimeConflictError(
                "A transformer that encodes texts needs its tokenizer: pip install '.[words]' "
                "in a clone."
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            graph = (folder / "encoder.onnx").read_bytes()
            self._tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text("utf-8"))
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            # Neither tokenizers nor ONNX Runtime have an exception of their own below Exception.
            raise BundleError(
                f"{folder} holds no text encoder that can be loaded: {error}. It needs "
                "encoder.onnx and tokenizer.json, as `endcap train --encoder` writes them."
            ) from error
        self.fingerprint = hashlib.sha256(graph).hexdigest()
        self.dim = int(self._session.get_outputs()[0].shape[1])
        self._tokenizer.enable_truncation(_MAX_PIECES)
        self._tokenizer.enable_padding(pad_id=self._padding())

    def is_word(self, word: str) -> bool:
        """Whether the tokenizer has it in one piece."""
        return len(self._tokenizer.encode(word, add_special_tokens=False).ids) == 1

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Vectors [n, d] of length 1; a text without a single word gets zeros."""
        found = np.zeros((len(texts), self.dim), dtype=np.float32)
        kept = [row for row, text in enumerate(texts) if text.strip()]
        # Texts of like length share a batch: padding is work.
        kept.sort(key=lambda row: len(texts[row]))
        for start in range(0, len(kept), _BATCH):
            rows = kept[start : start + _BATCH]
            made = self._tokenizer.encode_batch([texts[row] for row in rows])
            found[rows] = self._session.run(
                ["vectors"],
                {
                    "input_ids": np.array([each.ids for each in made], dtype=np.int64),
                    "attention_mask": np.array([e.attention_mask for e in made], dtype=np.int64),
                },
            )[0]
        return found

    def _padding(self) -> int:
        for name in ("[PAD]", "<pad>"):
            number = self._tokenizer.token_to_id(name)
            if number is not None:
                return int(number)
        return 0
