"""What somebody wants who asks: one of a few intents, by vectors and letters of the question.

A linear head on a sentence encoder's vectors and on hashed words and letters (`gram_vectors`).
`endcap intents train` makes its file.
"""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray
from endcap.errors import BundleError
from endcap.text.encoder import TextEncoder
from endcap.text.grams import gram_vectors


class IntentsAbout(msgspec.Struct, frozen=True, kw_only=True):
    """`labels`: the intents, in the order of the head's rows. `questions`: sha256 of the file of
    questions that it learned from. `made_by`: the command. `encoder`: of the vectors. `gram_share`:
    how much letters weigh beside vectors. `accuracy`: by five folds over the questions' forms."""

    labels: tuple[str, ...]
    questions: str
    made_by: str
    encoder: str
    gram_share: float
    accuracy: dict[str, float]


class IntentsFile(NamedTuple):
    """`weights` [labels, d + GRAMS] in int8 times `scales` [labels], and `bias` [labels]."""

    about: IntentsAbout
    weights: npt.NDArray[np.int8]
    scales: FloatArray
    bias: FloatArray


class Guess(NamedTuple):
    """`intent`, its probability, and that of the next one."""

    intent: str
    probability: float
    second: str
    second_probability: float


class IntentModel:
    """Guesses what a question wants. `encoder` serves whoever needs vectors of sentences too."""

    def __init__(self, file: IntentsFile, encoder: TextEncoder) -> None:
        self.about = file.about
        self.encoder = encoder
        self._weights = file.weights.astype(np.float32).T * file.scales
        self._bias = file.bias

    def guess(self, question: str) -> Guess:
        """The likeliest intent."""
        features = question_features(self.encoder, [question], self.about.gram_share)
        scores = (features @ self._weights)[0] + self._bias
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        first, second = np.argsort(-shares, kind="stable")[:2]
        labels = self.about.labels
        return Guess(labels[first], float(shares[first]), labels[second], float(shares[second]))


def question_features(
    encoder: TextEncoder, questions: Sequence[str], gram_share: float
) -> FloatArray:
    """The head's input [n, d + GRAMS]: the same in training and in serving."""
    vectors = encoder.encode(questions) * (1 - gram_share)
    return np.hstack([vectors, gram_vectors(questions) * gram_share])


def encode_intents(file: IntentsFile) -> bytes:
    """The bytes of `intents.npz`; nothing in it is pickled."""
    made = io.BytesIO()
    np.savez_compressed(
        made,
        allow_pickle=False,
        about=np.frombuffer(msgspec.json.encode(file.about), dtype=np.uint8),
        weights=file.weights,
        scales=file.scales,
        bias=file.bias,
    )
    return made.getvalue()


def load_intents(path: Path, encoder: TextEncoder) -> IntentModel:
    """The model in a file; `encoder`: the one that it was trained with.

    Raises:
        BundleError: there is none, or it is not such a file.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"The intents in {path} cannot be read ({error.strerror}). Make them by "
            "`endcap intents train --out FILE`, or install endcap anew."
        ) from error
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            about = msgspec.json.decode(arrays["about"].tobytes(), type=IntentsAbout)
            return IntentModel(
                IntentsFile(
                    about,
                    arrays["weights"].astype(np.int8),
                    arrays["scales"].astype(np.float32),
                    arrays["bias"].astype(np.float32),
                ),
                encoder,
            )
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, msgspec.MsgspecError) as error:
        raise BundleError(
            f"{path} is not a file of intents: {error}. Make it by `endcap intents train`."
        ) from error
