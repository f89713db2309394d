"""The words of a bundle: the catalogue's texts through an encoder, by default a static student."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import wordfreq

from endcap.bundle import Manifest, write_manifest
from endcap.catalogue import CatalogueItem
from endcap.errors import DataError
from endcap.export.progress import Progress
from endcap.export.text.encoder_graph import ENCODER_FILES
from endcap.export.text.student import DEFAULT_PLAN, StudentPlan, make_student
from endcap.export.text.teacher import Teacher
from endcap.text import (
    NO_TABLE,
    STATIC,
    WORDS_FILE,
    StaticEncoder,
    TextEncoder,
    Words,
    WordsAbout,
    distinct_texts,
    encode_words,
    fingerprint_of,
    words_entry,
)
from endcap.text.static_encoder import in_int8
from endcap.text.wordpiece import split_words

_BREAKS = 150
LEAST_SIMILARITY = 0.65
LEAST_SIMILARITY_OF_TRANSFORMERS = 0.55
"""Measured on a grocer and on a gift shop, and with MiniLM itself: docs/decisions/0017."""


def student_words(
    items: Sequence[CatalogueItem],
    teacher: Teacher,
    progress: Progress,
    plan: StudentPlan = DEFAULT_PLAN,
) -> Words:
    """Words that numpy alone can serve: a student of `teacher`, fitted to this catalogue."""
    texts, _ = distinct_texts(items)
    table = make_student(teacher, texts, progress, plan)
    about = WordsAbout(
        encoder=STATIC,
        teacher=teacher.name,
        least_similarity=LEAST_SIMILARITY,
        texts=fingerprint_of(texts),
    )
    return Words(about, *in_int8(StaticEncoder(table).encode(texts)), table)


def encoder_words(
    items: Sequence[CatalogueItem],
    encoder: TextEncoder,
    fingerprint: str,
    name: str,
    language: str = "en",
    least_similarity: float = LEAST_SIMILARITY_OF_TRANSFORMERS,
) -> Words:
    """Words that a transformer serves: another language's, say. `fingerprint`: the sha256 of its
    ONNX graph, which must be at hand wherever words are looked up."""
    texts, _ = distinct_texts(items)
    about = WordsAbout(
        encoder=fingerprint,
        teacher=name,
        least_similarity=least_similarity,
        texts=fingerprint_of(texts),
        # English, and the languages beside it, have a list by hand that knows more.
        breaks=() if language == "en" else breaks_of(language, items),
    )
    return Words(about, *in_int8(encoder.encode(texts)), NO_TABLE)


def breaks_of(language: str, items: Sequence[CatalogueItem]) -> tuple[str, ...]:
    """The language's most frequent words less the catalogue's own, without accents.

    Raises:
        DataError: nothing is known of the language's frequencies.
    """
    try:
        frequent = wordfreq.top_n_list(language, _BREAKS)
    except LookupError as error:
        known = ", ".join(sorted(wordfreq.available_languages()))
        raise DataError(
            f"There are no word frequencies for the language {language!r}; known: {known}."
        ) from error
    own = {word for text in distinct_texts(items)[0] for word in split_words(text)}
    made = {word for entry in frequent for word in split_words(entry) if word.isalpha()}
    return tuple(sorted(made - own))


def add_words(folder: Path, words: Words) -> Manifest:
    """Write the words into a bundle's folder, then the manifest that lists them; returns that.

    What a transformer needs beside them lies there already, and is listed with them.
    """
    raw = encode_words(words)
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    files = {name: e for name, e in manifest.files.items() if name not in ENCODER_FILES}
    files[WORDS_FILE] = words_entry(raw)
    if words.about.encoder != STATIC:
        files |= {name: words_entry((folder / name).read_bytes()) for name in ENCODER_FILES}
    complete = msgspec.structs.replace(manifest, files=files)
    (folder / WORDS_FILE).write_bytes(raw)
    write_manifest(folder, complete)
    return complete
