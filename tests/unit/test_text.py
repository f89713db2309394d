"""Words into items: phrases, typing errors, and what a catalogue has nothing like."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from endcap.bundle import Bundle, load_bundle
from endcap.candidates.generators_file import decode_generators, encode_generators
from endcap.catalogue import CatalogueItem
from endcap.deploy.settings import BUNDLES
from endcap.errors import BundleError
from endcap.text import (
    StaticEncoder,
    TextIndex,
    Words,
    decode_words,
    distinct_texts,
    encode_words,
    find_items,
    item_text,
    load_words,
    open_index,
)
from endcap.text.lexicon import build_lexicon, correct, overlap
from endcap.text.phrases import phrases_of, stem
from endcap.text.static_encoder import UNKNOWN, in_int8
from endcap.text.wordpiece import split_any_words, split_words

COMMITTED = BUNDLES / "completejourney"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(COMMITTED)


@pytest.fixture(scope="module")
def words(bundle: Bundle) -> Words:
    return load_words(COMMITTED, bundle.manifest)


@pytest.fixture(scope="module")
def student(words: Words) -> StaticEncoder:
    return StaticEncoder(words.table)


@pytest.fixture(scope="module")
def index(bundle: Bundle, words: Words, student: StaticEncoder) -> TextIndex:
    return open_index(bundle.items, words, student)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("I bought a laptop, a mouse, and a keyboard.", ["laptop", "mouse", "keyboard"]),
        ("2 gallons of milk and a dozen eggs", ["milk", "dozen eggs"]),
        ("Looking for sandwich bags; 3 lb. apples!", ["sandwich bags", "apples"]),
        ("I'd like some crème brûlée, please", ["creme brulee"]),
        ("Ich habe Milch und 12 Eier gekauft", ["milch", "eier"]),
        ("J'ai acheté du pain, des œufs et du lait", ["pain", "œufs", "lait"]),
        ("$3.50 for 1/2 kg of coffee", ["coffee"]),
        ("and, or & ...", []),
        ("", []),
    ],
)
def test_a_sentence_is_the_phrases_that_may_name_goods(sentence: str, expected: list[str]) -> None:
    assert [phrase.text for phrase in phrases_of(sentence)] == expected


def test_a_language_s_small_words_stand_between_goods() -> None:
    found = phrases_of("я купил молоко и хлеб", frozenset({"я", "и"}))
    assert [phrase.text for phrase in found] == ["купил молоко", "хлеб"]


@given(st.text())
def test_any_text_at_all_is_read(text: str) -> None:
    for phrase in phrases_of(text):
        assert phrase.words
    stem(text)


def test_an_item_is_found_by_its_title_without_sizes_and_its_category() -> None:
    item = CatalogueItem("1", "Soft drinks 12 pk, 12 oz", "Soft Drinks", price=4.0)
    assert item_text(item) == "soft drinks, soft drinks"
    texts, text_of = distinct_texts([item, CatalogueItem("2", "Bread"), item])
    assert texts == ("bread", "soft drinks, soft drinks")
    assert text_of.tolist() == [1, 0, 1]


@pytest.fixture(scope="module")
def reference(words: Words) -> Tokenizer:
    id_of = {piece: number for number, piece in enumerate(words.table.vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(id_of, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


# Latin with its accents, punctuation and spaces, Greek, Cyrillic, Han, kana.
_LETTERS = st.characters(max_codepoint=0x24F) | st.sampled_from(
    "ΣσςΩЙйЁяІ牛乳店ミルク—“”…€½ﬁ\u3000"
)


@given(st.text(_LETTERS, max_size=60))
def test_words_fall_into_the_reference_tokenizer_s_pieces(
    reference: Tokenizer, student: StaticEncoder, text: str
) -> None:
    assert student.tokenize(text) == reference.encode(text, add_special_tokens=False).ids


def test_real_titles_fall_into_the_reference_tokenizer_s_pieces(
    reference: Tokenizer, student: StaticEncoder, bundle: Bundle
) -> None:
    for title in {item.title for item in bundle.items}:
        assert student.tokenize(title) == reference.encode(title, add_special_tokens=False).ids


def test_a_typing_error_means_the_catalogue_s_word() -> None:
    lexicon = build_lexicon(["bananas", "tomatoes", "chocolate mousse", "broccoli", "pears"])

    def known(word: str) -> bool:
        return word in {"mouse", "peas"}

    for wrong, meant in (
        ("bananna", "banana"),
        ("choclate", "chocolate"),
        ("brocolli", "broccoli"),
        ("tomaot", "tomato"),
    ):
        assert correct(lexicon, wrong, known) == meant
    for right in ("mouse", "peas", "tomatos", "laptop", "pear"):
        assert correct(lexicon, right, known) == right


def test_a_phrase_is_held_in_part_where_a_word_is_missing() -> None:
    lexicon = build_lexicon(["chicken drums", "chicken soup", "drum"])
    assert overlap(lexicon, ["chicken", "drum"]).argmax() == 0
    assert overlap(lexicon, ["chicken", "drum"]).max() == pytest.approx(1.0)
    assert overlap(lexicon, ["drum", "kit"]).max() < 0.5


@pytest.mark.parametrize(
    ("phrase", "title"),
    [
        ("2 gallons of milk", "Fluid milk white only, 1 ga"),
        ("bananna", "Bananas"),
        ("potatos", "Potatoes"),
        ("macaroni and cheese", "Macaroni & cheese dnrs"),
        ("beer", "Beeralemalt liquors"),
        ("diapers", "Baby diapers"),
    ],
)
def test_words_name_items(index: TextIndex, bundle: Bundle, phrase: str, title: str) -> None:
    found = find_items(phrase, index, bundle.generators.popularity, most=10)
    titles = [bundle.item(item).title for mention in found.mentions for item in mention.items]
    assert any(each.startswith(title.split(",")[0]) for each in titles), titles
    assert not found.nothing_like


def test_each_phrase_of_a_sentence_is_answered(index: TextIndex, bundle: Bundle) -> None:
    found = find_items(
        "I bought milk, a laptop and some bananas", index, bundle.generators.popularity
    )
    assert [mention.phrase for mention in found.mentions] == ["milk", "bananas"]
    assert found.nothing_like == ("laptop",)


def test_a_list_without_commas_is_taken_word_by_word(index: TextIndex, bundle: Bundle) -> None:
    found = find_items("milk eggs bananas", index, bundle.generators.popularity)
    assert [mention.phrase for mention in found.mentions] == ["milk", "eggs", "bananas"]


def test_a_grocer_has_nothing_like_a_laptop(index: TextIndex, bundle: Bundle) -> None:
    found = find_items(
        "I bought a laptop, a mouse, and a keyboard.", index, bundle.generators.popularity
    )
    assert not found.mentions
    assert found.nothing_like == ("laptop", "mouse", "keyboard")


def test_what_is_bought_most_is_meant(index: TextIndex, bundle: Bundle) -> None:
    popularity = bundle.generators.popularity
    (mention,) = find_items("milk", index, popularity).mentions
    sold = [popularity[item] for item in mention.items]
    assert sold == sorted(sold, reverse=True)


def test_what_nobody_has_bought_comes_behind_all_that_sell(
    index: TextIndex, bundle: Bundle
) -> None:
    (mention,) = find_items("milk", index, bundle.generators.popularity).mentions
    first, *others = mention.items
    placed = bundle.generators._replace(placed=np.array([first], dtype=np.int32))
    as_loaded = decode_generators(encode_generators(placed))
    (again,) = find_items("milk", index, as_loaded.sold_first, most=10_000).mentions
    assert again.items[:2] == tuple(others)
    assert again.items[-1] == first


def test_words_round_trip(words: Words) -> None:
    again = decode_words(encode_words(words))
    assert again.about == words.about
    assert again.table.vocabulary == words.table.vocabulary
    for name in ("rows", "vectors", "scales"):
        np.testing.assert_array_equal(getattr(again.table, name), getattr(words.table, name))
    np.testing.assert_array_equal(again.text_vectors, words.text_vectors)


def test_int8_keeps_directions() -> None:
    vectors = np.random.default_rng(1).normal(size=(50, 64)).astype(np.float32)
    whole, scales = in_int8(vectors)
    kept = whole * scales[:, None]
    cosine = (
        (kept * vectors).sum(1) / np.linalg.norm(kept, axis=1) / np.linalg.norm(vectors, axis=1)
    )
    assert cosine.min() > 0.999


def test_the_committed_words_are_small() -> None:
    assert load_bundle(COMMITTED).manifest.files["words.npz"].bytes <= 1_500_000


def test_words_that_were_changed_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(COMMITTED, folder)
    raw = bytearray((folder / "words.npz").read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / "words.npz").write_bytes(raw)
    with pytest.raises(BundleError, match=r"words\.npz is not the file its manifest describes"):
        load_words(folder, load_bundle(folder).manifest)
    with pytest.raises(BundleError, match="not a bundle's file of words"):
        decode_words(b"PK\x03\x04 and no more")


def test_words_of_another_catalogue_are_refused(bundle: Bundle, words: Words) -> None:
    with pytest.raises(BundleError, match="endcap words"):
        open_index(bundle.items[:100], words, StaticEncoder(words.table))


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_is_split_as_any_script_is(text: str) -> None:
    assert split_words(text) == split_any_words(text)
