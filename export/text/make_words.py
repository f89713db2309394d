"""Which encoder gives a bundle its words, and the words: what `endcap words` and `train` share."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from endcap.catalogue import CatalogueItem, has_title
from endcap.export.progress import Progress
from endcap.export.text.encoder_graph import export_encoder
from endcap.export.text.teacher import Teacher, minilm
from endcap.export.text.words import encoder_words, student_words
from endcap.text import Words

WordsMaker = Callable[[Sequence[CatalogueItem], Path, Progress], Words]
"""Makes the words of some items; what serves them beside `words.npz` goes into the folder."""


def words_maker(encoder: Path | None, language: str) -> WordsMaker:
    """Words by an encoder's folder as `transformers` saves it, else by a student of MiniLM, which
    is English. The encoder is loaded at once: what is wrong with it is said before training.

    Raises:
        DataError: there is no such encoder, or MiniLM is not installed.
    """
    if encoder is None:
        return partial(_by_student, minilm())
    return partial(_by_encoder, Teacher(encoder), language)


def has_titles(items: Sequence[CatalogueItem]) -> bool:
    """Whether there is anything that words could name."""
    return any(has_title(item) for item in items)


def _by_student(
    teacher: Teacher, items: Sequence[CatalogueItem], folder: Path, progress: Progress
) -> Words:
    progress.say(f"a student of {teacher.name} learns the words of the catalogue: a minute or two")
    return student_words(items, teacher)


def _by_encoder(
    teacher: Teacher,
    language: str,
    items: Sequence[CatalogueItem],
    folder: Path,
    progress: Progress,
) -> Words:
    difference = export_encoder(teacher, folder)
    progress.say(f"{teacher.name} in ONNX against torch: largest difference {difference:.1e}")
    fingerprint = hashlib.sha256((folder / "encoder.onnx").read_bytes()).hexdigest()
    return encoder_words(items, teacher, fingerprint, teacher.name, language)
