"""Train the intent model: a linear head on an encoder's vectors and on letters.

The head is a softmax regression with an L2 penalty, by L-BFGS in torch. What each part of its input
is worth is measured by five folds over the questions' forms.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from endcap.arrays import FloatArray, IntArray
from endcap.export.intents.questions import Question, Questions
from endcap.export.progress import Progress
from endcap.text import TextEncoder
from endcap.text.grams import gram_vectors
from endcap.text.intent_model import IntentsAbout, IntentsFile, question_features
from endcap.text.static_encoder import in_int8

FOLDS = 5
GRAM_SHARE = 0.3
_PENALTY = 1e-4
_SHARPNESS = 8.0
"""Inputs have length 1 at most: the head needs large weights, which the penalty would keep down."""
_STEPS = 60


class Trained(NamedTuple):
    """The file, and the accuracy of each input by five folds, over all and by language."""

    file: IntentsFile
    folds: dict[str, dict[str, float]]


def train_intents(
    questions: Questions,
    encoder: TextEncoder,
    name: str,
    beside: Mapping[str, TextEncoder],
    made_by: str,
    progress: Progress,
) -> Trained:
    """The model of these questions on the vectors of `encoder`, which is called `name`; `beside`:
    other encoders, which are only measured."""
    rows = questions.rows
    said = [row.text for row in rows]
    labels = tuple(sorted({row.intent for row in rows}))
    wanted = np.array([labels.index(row.intent) for row in rows], dtype=np.int32)
    both = question_features(encoder, said, GRAM_SHARE)
    inputs = {
        **{other: of.encode(said) for other, of in beside.items()},
        "letters": gram_vectors(said),
        name: encoder.encode(said),
        f"{name} and letters": both,
    }
    folds: dict[str, dict[str, float]] = {}
    for done, (of, made) in enumerate(inputs.items(), start=1):
        folds[of] = _by_folds(made, wanted, rows, len(labels))
        progress.advance("Intents", done, len(inputs) + 1)
    weights, bias = _fitted(both, wanted, len(labels))
    progress.advance("Intents", len(inputs) + 1, len(inputs) + 1)
    about = IntentsAbout(
        labels=labels,
        questions=questions.fingerprint,
        made_by=made_by,
        encoder=name,
        gram_share=GRAM_SHARE,
        accuracy={each: of["all"] for each, of in folds.items()},
    )
    return Trained(IntentsFile(about, *in_int8(weights), bias), folds)


def _by_folds(
    inputs: FloatArray, wanted: IntArray, rows: Sequence[Question], labels: int
) -> dict[str, float]:
    """How often the head is right on forms that it has not seen; each form counts as one."""
    forms = np.array([row.form for row in rows])
    fold_of = np.random.default_rng(11).integers(FOLDS, size=forms.max() + 1)[forms]
    right = np.zeros(len(rows), dtype=np.float64)
    for fold in range(FOLDS):
        held = fold_of == fold
        weights, bias = _fitted(inputs[~held], wanted[~held], labels)
        right[held] = (inputs[held] @ weights.T + bias).argmax(1) == wanted[held]
    weight = 1 / np.bincount(forms)[forms]
    languages = np.array([row.language for row in rows])
    found = {"all": float(np.average(right, weights=weight))}
    for language in sorted(set(languages)):
        of = languages == language
        found[str(language)] = float(np.average(right[of], weights=weight[of]))
    return {name: round(share, 4) for name, share in found.items()}


def _fitted(inputs: FloatArray, wanted: IntArray, labels: int) -> tuple[FloatArray, FloatArray]:
    x = torch.from_numpy(np.ascontiguousarray(inputs * _SHARPNESS))
    y = torch.from_numpy(np.asarray(wanted, dtype=np.int64))
    weights = torch.zeros(labels, x.shape[1], requires_grad=True)
    bias = torch.zeros(labels, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights, bias], max_iter=_STEPS, line_search_fn="strong_wolfe", history_size=10
    )

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        found = torch.nn.functional.cross_entropy(x @ weights.T + bias, y)
        found = found + _PENALTY * weights.square().sum()
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    made = weights.detach().numpy() * _SHARPNESS
    return np.asarray(made, dtype=np.float32), np.asarray(bias.detach().numpy(), dtype=np.float32)
