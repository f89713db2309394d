"""A static student of a sentence encoder: one vector a word piece, and a text is their sum.

After model2vec (Tulkens and van Dongen, 2024: pass the vocabulary through the encoder, reduce,
weigh by rarity) and Wang et al., MiniLM, NeurIPS 2020 (a student learns what its teacher says):
the table is then fitted so that sums of pieces agree with the teacher on the catalogue's texts and
on phrases of its own making.
"""

import re
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import wordfreq

from endcap.arrays import FloatArray, IntArray
from endcap.export.progress import Progress
from endcap.export.text.teacher import Teacher
from endcap.text.static_encoder import UNKNOWN, StaticEncoder, StaticTable, in_int8
from endcap.text.wordpiece import pieces, split_words

_WORD = re.compile(r"[^\W\d_]{2,}")
_EPOCHS = 6
_LEARNING_RATE = 3e-3
_BATCH = 512
_TEXT = 6
_STEP = 200
"""What a text costs beside its characters, and a step of the fit, in the time in which MiniLM reads
a character."""
_RARITY = 1e-3
"""SIF's a (Arora et al., ICLR 2017); frequencies by Zipf's law over the vocabulary's order."""
_SPECIAL_PIECES = 1996
"""BERT's vocabulary opens with unused pieces and single characters; words follow by frequency."""


class StudentPlan(NamedTuple):
    """`dim`: of the vectors, one coordinate of them for what is elsewhere. `rows`: how many word
    pieces keep a vector of their own. `phrases`: how many are made up to learn sums from.
    `frequent`: how many words of the language are looked at for some that the pieces lack.
    `texts`: how many of the catalogue's are learned from, drawn by chance where it has more: the
    teacher reads about a thousand a second."""

    dim: int = 64
    rows: int = 8_000
    phrases: int = 12_000
    frequent: int = 40_000
    language: str = "en"
    texts: int = 50_000
    seed: int = 7


DEFAULT_PLAN = StudentPlan()


def make_student(
    teacher: Teacher, texts: Sequence[str], progress: Progress, plan: StudentPlan = DEFAULT_PLAN
) -> StaticTable:
    """The table for a catalogue's texts; one bar for all of the work.

    1. The vocabulary: the teacher's word pieces, and frequent words that it has in several pieces;
       their sum says nothing of a "ket ##chu ##p".
    2. The teacher's vectors of all of these, of the texts, and of made-up phrases.
    3. The `dim - 1` directions in which these differ most.
    4. Fit the pieces' vectors: the sum over a text, normalised, against the teacher.
    5. Pieces that no text of the catalogue is like share row 0, which points where nothing else
       does: a phrase of such words is like nothing in the catalogue, and a phrase with one such
       word the less.
    """
    rng = np.random.default_rng(plan.seed)
    vocabulary = (*teacher.vocabulary, *_frequent_words(teacher.vocabulary, plan))
    words = [piece.removeprefix("##") for piece in vocabulary]
    whole = np.flatnonzero([_WORD.fullmatch(piece) is not None for piece in vocabulary])
    phrases = _made_up(rng, [words[i] for i in whole], texts, plan.phrases)
    some = _some(rng, texts, plan.texts)
    steps = _EPOCHS * -(-(whole.size + len(some) + len(phrases)) // _BATCH)
    work = _Work(progress, _reading([*words, *some, *phrases]) + steps * _STEP)
    of_words, of_texts = teacher.encode(words, work.read), teacher.encode(some, work.read)
    of_phrases = teacher.encode(phrases, work.read)
    known = np.concatenate([of_words[whole], of_texts, of_phrases])
    directions = _principal(known, plan.dim - 1)
    wanted = known @ directions
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True).clip(1e-9)

    start = (of_words @ directions) * _rarity(len(words))[:, None]
    id_of = {piece: number for number, piece in enumerate(vocabulary)}
    held = [_pieces(text, id_of) for text in (*(words[i] for i in whole), *some, *phrases)]
    fitted = _fit(start.astype(np.float32), held, wanted.astype(np.float32), rng, work)
    work.finish()
    own = np.unique(list(chain.from_iterable(_pieces(text, id_of) for text in texts)))
    rows = _rows_worth_keeping(own, of_words, of_texts, plan.rows)
    return _table(vocabulary, rows, fitted)


def _reading(texts: Sequence[str]) -> int:
    return sum(map(len, texts)) + _TEXT * len(texts)


class _Work:
    """How far it is, by what each part of the work costs."""

    def __init__(self, progress: Progress, of: int) -> None:
        self._progress, self._done, self._of = progress, 0, of
        self._add(0)

    def read(self, texts: Sequence[str]) -> None:
        self._add(_reading(texts))

    def step(self) -> None:
        self._add(_STEP)

    def finish(self) -> None:
        self._add(self._of - self._done)

    def _add(self, cost: int) -> None:
        self._done = min(self._done + cost, self._of)
        self._progress.advance("Words", self._done, self._of)


def agreement(teacher: Teacher, student: StaticEncoder, texts: Sequence[str]) -> dict[str, float]:
    """How often student and teacher agree on which texts are the nearest of each other."""
    of_teacher, of_student = teacher.encode(texts), student.encode(texts)
    best = [_nearest(vectors, 10) for vectors in (of_teacher, of_student)]
    shared = [len(set(a) & set(b)) for a, b in zip(*best, strict=True)]
    return {
        "nearest": float((best[0][:, 0] == best[1][:, 0]).mean()),
        "overlap_at_10": float(np.mean(shared)) / 10,
    }


def _frequent_words(known: Sequence[str], plan: StudentPlan) -> list[str]:
    """Frequent words of the language that are not in the vocabulary (Speer, wordfreq)."""
    had = set(known)
    frequent = wordfreq.top_n_list(plan.language, plan.frequent)
    return [
        word for word in frequent if len(word) > 2 and _WORD.fullmatch(word) and word not in had
    ]


def _some(rng: np.random.Generator, texts: Sequence[str], most: int) -> Sequence[str]:
    if len(texts) <= most:
        return texts
    return [texts[at] for at in np.sort(rng.choice(len(texts), most, replace=False))]


def _made_up(
    rng: np.random.Generator, words: Sequence[str], texts: Sequence[str], count: int
) -> list[str]:
    """Phrases of two to four words, half of them with words of the catalogue; frequent words, which
    stand first in the vocabulary, come more often."""
    own: list[str] = sorted({word for text in texts for word in _WORD.findall(text.lower())})

    def any_word() -> str:
        return words[int(len(words) * rng.random() ** 2)]

    def own_word() -> str:
        return own[int(rng.integers(len(own)))]

    made = [f"{any_word()} {any_word()}" for _ in range(count // 2)]
    made += [f"{any_word()} {own_word()}" for _ in range(count // 4)]
    made += [" ".join(own_word() for _ in range(rng.integers(2, 5))) for _ in range(count // 4)]
    return made


def _principal(vectors: FloatArray, dim: int) -> FloatArray:
    """Orthonormal directions [d, dim] of most variance.

    The mean is left where it is: how far a text is from all else is what refuses it."""
    _, axes = np.linalg.eigh(np.cov(vectors.T))
    return np.asarray(axes[:, ::-1][:, :dim], dtype=np.float32)


def _rarity(n_pieces: int) -> FloatArray:
    # Frequent words that stand behind the vocabulary are rare ones by this: so they are beside it.
    rank = np.clip(np.arange(n_pieces) - _SPECIAL_PIECES, 1, None)
    share = 1 / rank / np.log(n_pieces)
    return np.asarray(_RARITY / (_RARITY + share), dtype=np.float32)


def _pieces(text: str, id_of: dict[str, int]) -> list[int]:
    return [n for word in split_words(text) for n in pieces(word, id_of, id_of[UNKNOWN])]


def _fit(
    start: FloatArray,
    pieces: Sequence[Sequence[int]],
    wanted: FloatArray,
    rng: np.random.Generator,
    work: _Work,
) -> FloatArray:
    """Adam on the cosine between sums of pieces and the teacher's vectors."""
    table = torch.nn.EmbeddingBag.from_pretrained(torch.from_numpy(start), freeze=False, mode="sum")
    optimiser = torch.optim.Adam(table.parameters(), lr=_LEARNING_RATE)
    plan = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.7)
    lengths = np.array([len(row) for row in pieces])
    targets = torch.from_numpy(wanted)
    for _ in range(_EPOCHS):
        order = rng.permutation(np.flatnonzero(lengths))
        for begin in range(0, order.size, _BATCH):
            rows = order[begin : begin + _BATCH]
            flat = torch.tensor(list(chain.from_iterable(pieces[row] for row in rows)))
            offsets = torch.from_numpy(np.cumsum(lengths[rows]) - lengths[rows])
            made = torch.nn.functional.normalize(table(flat, offsets), dim=1)
            loss = (1 - (made * targets[torch.from_numpy(rows)]).sum(1)).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            work.step()
        plan.step()
    return np.asarray(table.weight.detach().numpy(), dtype=np.float32)


def _rows_worth_keeping(
    own: npt.NDArray[np.intp], of_words: FloatArray, of_texts: FloatArray, keep: int
) -> npt.NDArray[np.intp]:
    """The catalogue's own pieces, then those whose nearest text is nearest, by the teacher."""
    nearness = np.concatenate(
        [(of_words[at : at + 512] @ of_texts.T).max(1) for at in range(0, len(of_words), 512)]
    )
    nearness[own] = 2.0
    return np.sort(np.argsort(-nearness, kind="stable")[: max(keep, own.size)])


def _table(
    vocabulary: tuple[str, ...], kept: npt.NDArray[np.intp], fitted: FloatArray
) -> StaticTable:
    rows: IntArray = np.zeros(len(vocabulary), dtype=np.int32)
    rows[kept] = np.arange(1, kept.size + 1)
    vectors = np.zeros((kept.size + 1, fitted.shape[1] + 1), dtype=np.float32)
    vectors[1:, :-1] = fitted[kept]
    vectors[0, -1] = np.median(np.linalg.norm(fitted[kept], axis=1))
    return StaticTable(vocabulary, rows, *in_int8(vectors))


def _nearest(vectors: FloatArray, count: int) -> npt.NDArray[np.intp]:
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -2.0)
    return np.argsort(-similarity, axis=1, kind="stable")[:, :count]
