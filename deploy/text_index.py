"""The index of words of a bundle, as the command line and the shop's search box open it."""

from pathlib import Path

from endcap.bundle import Bundle
from endcap.errors import EndcapError
from endcap.text import STATIC, StaticEncoder, TextEncoder, TextIndex, Words, load_words, open_index


def open_text_index(folder: Path, model: Bundle, encoder: Path | None = None) -> TextIndex:
    """The words that lie in the bundle's folder; `encoder`: where the ONNX text encoder lies that
    made them, if not there.

    Raises:
        EndcapError: the bundle has no words, or of another encoder.
    """
    words = load_words(folder, model.manifest)
    if words.about.encoder == STATIC:
        return open_index(model.items, words, StaticEncoder(words.table))
    return open_index(model.items, words, _transformer(words, encoder or folder))


def _transformer(words: Words, folder: Path) -> TextEncoder:
    from endcap.serving.onnx_text import OnnxTextEncoder

    found = OnnxTextEncoder(folder)
    if found.fingerprint != words.about.encoder:
        raise EndcapError(
            f"The encoder in {folder} is not the one that made this bundle's text vectors "
            f"({words.about.teacher}). Give its folder by --encoder."
        )
    return found
