"""Words into items: what a sentence names in a catalogue. numpy alone."""

from endcap.text.encoder import TextEncoder
from endcap.text.index import TextIndex, distinct_texts, item_text, open_index
from endcap.text.mentions import Mention, Understood, find_items
from endcap.text.static_encoder import StaticEncoder, StaticTable
from endcap.text.words_file import (
    NO_TABLE,
    STATIC,
    WORDS_FILE,
    Words,
    WordsAbout,
    decode_words,
    encode_words,
    fingerprint_of,
    load_words,
    words_entry,
)

__all__ = [
    "NO_TABLE",
    "STATIC",
    "WORDS_FILE",
    "Mention",
    "StaticEncoder",
    "StaticTable",
    "TextEncoder",
    "TextIndex",
    "Understood",
    "Words",
    "WordsAbout",
    "decode_words",
    "distinct_texts",
    "encode_words",
    "find_items",
    "fingerprint_of",
    "item_text",
    "load_words",
    "open_index",
    "words_entry",
]
