"""The static student against its teacher, and words by a transformer of one's own."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from aisle_shop import Quiet
from command_line import endcap, endcap_json
from tiny_encoder import tiny_bert, tiny_xlm_roberta

from endcap.bundle import load_bundle
from endcap.catalogue import CatalogueItem
from endcap.deploy.settings import BUNDLES
from endcap.errors import DataError
from endcap.export.text.encoder_graph import TOLERANCE, export_encoder
from endcap.export.text.grocer_phrases import FOUND, MISSPELT, NOT_SOLD
from endcap.export.text.refusal import best_similarities, found_share, refusal_at
from endcap.export.text.student import StudentPlan, agreement, make_student
from endcap.export.text.teacher import Teacher, minilm
from endcap.export.text.words import breaks_of, encoder_words, student_words
from endcap.serving.onnx_text import OnnxTextEncoder
from endcap.text import StaticEncoder, find_items, load_words, open_index

pytestmark = pytest.mark.models
COMMITTED = BUNDLES / "completejourney"
SOLD = ["fresh milk", "oat milk", "rye bread", "white bread", "green tea", "black tea", "apple pie"]
KNOWN = ["fresh", "milk", "oat", "rye", "bread", "white", "green", "tea", "black", "apple", "piano"]
SMALL = StudentPlan(dim=16, rows=80, phrases=300, frequent=0)
RUSSIAN = ["молоко", "хлеб", "ржаной", "чай", "зелёный", "сыр", "масло", "сливочное"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    return Teacher(tiny_bert(tmp_path_factory.mktemp("bert"), KNOWN))


def test_the_same_seed_makes_the_same_student(teacher: Teacher) -> None:
    one, other = (make_student(teacher, SOLD, Quiet(), SMALL) for _ in range(2))
    np.testing.assert_array_equal(one.vectors, other.vectors)
    np.testing.assert_array_equal(one.rows, other.rows)


def test_one_bar_goes_through_all_of_the_work(teacher: Teacher) -> None:
    told: list[tuple[str, int, int]] = []

    class Noted(Quiet):
        def advance(self, what: str, done: int, of: int) -> None:
            super().advance(what, done, of)
            told.append((what, done, of))

    make_student(teacher, SOLD, Noted(), SMALL)
    assert len({(what, of) for what, _, of in told}) == 1
    done = [done for _, done, _ in told]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, told[0][2])
    assert len(set(done)) > 5


def test_pieces_unlike_the_catalogue_share_a_row_and_are_like_nothing(teacher: Teacher) -> None:
    table = make_student(teacher, SOLD, Quiet(), SMALL._replace(rows=30))
    assert table.vectors.shape == (31, 16)
    student = StaticEncoder(table)
    dropped = [p for p, row in zip(table.vocabulary, table.rows, strict=True) if row == 0]
    elsewhere = student.encode([piece for piece in dropped if piece.isalnum()][:5])
    assert np.abs(student.encode(SOLD) @ elsewhere.T).max() < 0.01


def test_of_a_large_catalogue_some_texts_are_learned_from_and_all_words_are_kept(
    teacher: Teacher,
) -> None:
    table = make_student(teacher, SOLD, Quiet(), SMALL._replace(rows=1, texts=3))
    student = StaticEncoder(table)
    own = {piece for text in SOLD for piece in student.tokenize(text)}
    assert (table.rows[sorted(own)] > 0).all()
    assert table.vectors.shape[0] == len(own) + 1


def test_the_committed_student_agrees_with_minilm() -> None:
    bundle = load_bundle(COMMITTED)
    words = load_words(COMMITTED, bundle.manifest)
    student = StaticEncoder(words.table)
    index = open_index(bundle.items, words, student)
    found = agreement(minilm(), student, index.texts[::3])
    assert found["nearest"] > 0.6
    assert found["overlap_at_10"] > 0.65


def test_the_committed_words_find_what_is_sold_and_refuse_what_is_not() -> None:
    bundle = load_bundle(COMMITTED)
    words = load_words(COMMITTED, bundle.manifest)
    index = open_index(bundle.items, words, StaticEncoder(words.table))
    popularity = bundle.generators.popularity
    assert found_share(FOUND, index, bundle.items, popularity) > 0.94
    assert found_share(MISSPELT, index, bundle.items, popularity) > 0.85
    sold = best_similarities((*FOUND, *MISSPELT), index, popularity)
    not_sold = best_similarities(NOT_SOLD, index, popularity)
    refusal = refusal_at(index.least_similarity, sold, not_sold)
    assert refusal.precision > 0.93
    assert refusal.recall > 0.88
    assert refusal.lost < 0.05


def test_minilm_in_onnx_says_what_it_says_in_torch(tmp_path: Path) -> None:
    assert export_encoder(minilm(), tmp_path) <= TOLERANCE


def test_a_folder_without_a_fast_tokenizer_is_refused(teacher: Teacher, tmp_path: Path) -> None:
    shutil.copytree(teacher.folder, tmp_path / "slow")
    (tmp_path / "slow" / "tokenizer.json").unlink()
    with pytest.raises(DataError, match=r"tokenizer\.json"):
        export_encoder(Teacher(tmp_path / "slow"), tmp_path / "out")


def test_a_shop_in_another_language_and_script_is_searched(tmp_path: Path) -> None:
    items = [
        CatalogueItem("1", "Молоко, 1 л", "Молочное"),
        CatalogueItem("2", "Хлеб ржаной", "Хлеб"),
        CatalogueItem("3", "Чай зелёный", "Чай"),
        CatalogueItem("4", "Масло сливочное", "Молочное"),
    ]
    folder = tiny_xlm_roberta(tmp_path / "model", RUSSIAN)
    export_encoder(Teacher(folder), tmp_path / "onnx")
    encoder = OnnxTextEncoder(tmp_path / "onnx")
    words = encoder_words(items, encoder, encoder.fingerprint, "tiny", "ru", 0.9)
    assert {"я", "и"} <= set(words.about.breaks)
    index = open_index(items, words, encoder)
    popularity = np.ones(len(items) + 1, dtype=np.float32)
    found = find_items("молоко и ржаной хлеб", index._replace(least_similarity=0.0), popularity)
    assert [mention.items[0] for mention in found.mentions] == [1, 2]


def test_a_language_without_frequencies_is_refused() -> None:
    with pytest.raises(DataError, match=r"known: .*de.*ru"):
        breaks_of("xx", [CatalogueItem("1", "Milk")])


def test_a_student_s_words_serve_a_new_catalogue(teacher: Teacher) -> None:
    items = [CatalogueItem(str(n), title) for n, title in enumerate(SOLD)]
    words = student_words(items, teacher, Quiet(), SMALL)
    index = open_index(items, words, StaticEncoder(words.table))
    found = find_items("black tea, rye bread", index, np.ones(len(items) + 1, np.float32))
    assert [items[m.items[0] - 1].title for m in found.mentions] == ["black tea", "rye bread"]


def test_a_bundle_may_take_an_encoder_of_one_s_own(teacher: Teacher, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(COMMITTED, folder)
    made = endcap_json("words", "--bundle", folder, "--encoder", teacher.folder, "--json")
    assert made["words.npz"] == (folder / "words.npz").stat().st_size
    found = endcap_json("recommend", "milk", "--bundle", folder, "--json")
    assert found["understood"] or found["nothing_like"]
    (folder / "encoder.onnx").unlink()
    gone = endcap("recommend", "milk", "--bundle", folder)
    assert gone.returncode == 1
    assert "no text encoder" in " ".join(gone.stderr.split())
