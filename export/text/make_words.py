"""Which encoder gives a bundle its words, and the words: what `endcap words` and `train` share."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from endcap.bundle import Manifest
from endcap.catalogue import CatalogueItem, has_title
from endcap.errors import BundleError
from endcap.export.progress import Progress
from endcap.export.text.encoder_graph import ENCODER_FILES, export_encoder
from endcap.export.text.teacher import Teacher, minilm
from endcap.export.text.words import encoder_words, student_words
from endcap.text import (
    STATIC,
    WORDS_FILE,
    Words,
    distinct_texts,
    fingerprint_of,
    item_text,
    load_words,
)

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


def words_as_in(source: Path, manifest: Manifest) -> WordsMaker | None:
    """The words that a bundle has, for another of the same items; None where it has none."""
    return partial(_kept, source, manifest) if WORDS_FILE in manifest.files else None


def has_titles(items: Sequence[CatalogueItem]) -> bool:
    """Whether any item has a title with a word in it."""
    return any(has_title(item) and item_text(item) for item in items)


def _kept(
    source: Path,
    manifest: Manifest,
    items: Sequence[CatalogueItem],
    folder: Path,
    progress: Progress,
) -> Words:
    words = load_words(source, manifest)
    if words.about.texts != fingerprint_of(distinct_texts(items)[0]):
        raise BundleError(
            f"The words of {source} are those of other titles or categories than the data has. "
            "Name the same --items as when it was trained."
        )
    if words.about.encoder != STATIC:
        for name in ENCODER_FILES:
            shutil.copyfile(source / name, folder / name)
    return words


def _by_student(
    teacher: Teacher, items: Sequence[CatalogueItem], folder: Path, progress: Progress
) -> Words:
    progress.say(
        f"a student of {teacher.name} learns the words of the catalogue: two to five minutes of a "
        "core, by the number of titles"
    )
    return student_words(items, teacher, progress)


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
