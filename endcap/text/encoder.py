"""What turns words into vectors."""

from collections.abc import Sequence
from typing import Protocol

from endcap.arrays import FloatArray


class TextEncoder(Protocol):
    """Texts of like meaning get vectors that point the same way.

    Two implementations: `StaticEncoder`, a table of word pieces (numpy alone), and
    `endcap.serving.onnx_text.OnnxTextEncoder`, a transformer with its tokenizer.
    """

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Vectors [n, d] of length 1; a text without a single word gets zeros."""
        ...

    def is_word(self, word: str) -> bool:
        """Whether its vocabulary holds the word in one piece: then it is hardly a typing error."""
        ...
