"""A bundle's file of words: the texts' vectors, and the static student where that encodes them."""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray
from endcap.bundle import FileEntry, Manifest
from endcap.errors import BundleError
from endcap.text.static_encoder import StaticTable

WORDS_FILE = "words.npz"
STATIC = "static"
"""The `encoder` of words that numpy alone serves."""
Int8Array = npt.NDArray[np.int8]


class WordsAbout(msgspec.Struct, frozen=True, kw_only=True):
    """`encoder`: "static", or the sha256 of the ONNX encoder that made the vectors. `teacher`: the
    model that the student learned from. `least_similarity`: below it, a phrase names nothing here.
    `texts`: `fingerprint_of` the catalogue's texts. `breaks`: frequent words of the shop's language
    that stand between the names of goods.
    """

    encoder: str
    teacher: str
    least_similarity: float
    texts: str
    breaks: tuple[str, ...] = ()


class Words(NamedTuple):
    """`text_vectors` [U, d] times `text_scales` [U]: the catalogue's texts, in the order of
    `endcap.text.distinct_texts`. `table` is empty where an ONNX encoder is used."""

    about: WordsAbout
    text_vectors: Int8Array
    text_scales: FloatArray
    table: StaticTable


NO_TABLE = StaticTable(
    (),
    np.zeros(0, dtype=np.int32),
    np.zeros((0, 0), dtype=np.int8),
    np.zeros(0, dtype=np.float32),
)


def load_words(folder: Path, manifest: Manifest) -> Words:
    """The words in a bundle's folder, verified like its other files.

    Raises:
        BundleError: the bundle has none, or the file is not the one that its manifest describes.
    """
    entry = manifest.files.get(WORDS_FILE)
    if entry is None:
        raise BundleError(
            f"The bundle {folder} has no {WORDS_FILE}: it was trained without words. Name items by "
            "their ids (--items); where they have titles, make words by `endcap words --bundle`."
        )
    try:
        raw = (folder / WORDS_FILE).read_bytes()
    except OSError as error:
        raise BundleError(
            f"{folder / WORDS_FILE} cannot be read ({error.strerror}). Fetch the bundle again."
        ) from error
    if words_entry(raw) != entry:
        raise BundleError(
            f"{folder / WORDS_FILE} is not the file its manifest describes (sha256 or size "
            "differ). Fetch the bundle again or train it anew with `endcap train`."
        )
    return decode_words(raw)


def fingerprint_of(texts: Sequence[str]) -> str:
    """The sha256 of a catalogue's texts in their order."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def words_entry(raw: bytes) -> FileEntry:
    """The file's fingerprint for the manifest."""
    return FileEntry(hashlib.sha256(raw).hexdigest(), len(raw))


def encode_words(words: Words) -> bytes:
    """The bytes of `words.npz`; nothing in it is pickled."""
    table = words.table
    file = io.BytesIO()
    np.savez_compressed(
        file,
        allow_pickle=False,
        about=_as_array(msgspec.json.encode(words.about)),
        vocabulary=_as_array("\n".join(table.vocabulary).encode()),
        rows=table.rows.astype(np.uint16 if table.vectors.shape[0] < 1 << 16 else np.int32),
        vectors=table.vectors,
        scales=table.scales,
        text_vectors=words.text_vectors,
        text_scales=words.text_scales,
    )
    return file.getvalue()


def decode_words(raw: bytes) -> Words:
    """The inverse of `encode_words`.

    Raises:
        BundleError: the bytes are not such a file.
    """
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            vocabulary = arrays["vocabulary"].tobytes().decode()
            return Words(
                msgspec.json.decode(arrays["about"].tobytes(), type=WordsAbout),
                arrays["text_vectors"].astype(np.int8),
                arrays["text_scales"].astype(np.float32),
                StaticTable(
                    tuple(vocabulary.split("\n")) if vocabulary else (),
                    arrays["rows"].astype(np.int32),
                    arrays["vectors"].astype(np.int8),
                    arrays["scales"].astype(np.float32),
                ),
            )
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, msgspec.DecodeError) as error:
        raise BundleError(f"words.npz is not a bundle's file of words: {error}.") from error


def _as_array(raw: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(raw, dtype=np.uint8)
