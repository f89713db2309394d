"""A shop that trains with its catalogue: words at once, and new items in their place."""

import csv
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest

from endcap.bundle import Bundle, load_bundle
from endcap.catalogue import CatalogueItem
from endcap.errors import BundleError, DataError, SettingsError
from endcap.events import EventType
from endcap.policy import Policy
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.onnx_text import OnnxTextEncoder
from endcap.serving.rescorer import rescore
from endcap.sessions import Act, Session, fold_acts
from endcap.text import encode_words

pytest.importorskip("torch", reason="torch is missing: pip install 'endcap[export]'")

from aisle_shop import OPTIONS, Quiet
from aisle_shop import shop as aisle_shop
from shop_files import PLAIN
from tiny_encoder import tiny_bert

from endcap.deploy.words_options import Wording, words_for
from endcap.export.data.events_file import EventForm
from endcap.export.data.interactions import DataSet
from endcap.export.options_file import store_options
from endcap.export.text.make_words import words_as_in

pytestmark = pytest.mark.models
AISLES = ("milk", "bread", "tea", "soap", "rice", "candles")
OF_AISLE = 20
NEW = {f"new-{aisle}": f"Goat {aisle}" for aisle in AISLES[:3]}
RARE = ("milk-rare", "Oat milk")
LIKE_RARE = ("milk-not-sold", "Oat milk")


class Trained(NamedTuple):
    folder: Path
    encoder: Path
    said: str

    @property
    def bundle(self) -> Bundle:
        return load_bundle(self.folder)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty shoppers who go round one aisle each, and a catalogue with four items that nobody has
    met: a new kind of milk, of bread, of tea, and a second oat milk beside one that sold once."""
    rng = np.random.default_rng(11)
    folder = tmp_path_factory.mktemp("shop")
    with (folder / "events.csv").open("w", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(["user_id", "item_id", "event_type", "timestamp"])
        rows.writerow(["s0", RARE[0], "view", 1_700_000_000])
        for shopper in range(80):
            aisle, place = AISLES[shopper % len(AISLES)], int(rng.integers(OF_AISLE))
            at = 1_700_000_000 + shopper * 5000
            for _ in range(40):
                place = (place + int(rng.integers(1, 3))) % OF_AISLE
                at += int(rng.integers(60, 90_000))
                rows.writerow([f"s{shopper}", f"{aisle}-{place}", "view", at])
    with (folder / "items.csv").open("w", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(["item_id", "title", "price"])
        for aisle in AISLES:
            rows.writerows([f"{aisle}-{n}", f"Plain {aisle}, {n + 1} oz", 2] for n in range(20))
        rows.writerows([item, title, 2] for item, title in (*NEW.items(), RARE, LIKE_RARE))
    return folder


@pytest.fixture(scope="module")
def trained(shop: Path) -> Trained:
    encoder = tiny_bert(shop / "encoder", ["plain", "goat", "oat", *AISLES])
    fit = msgspec.structs.replace(OPTIONS.fit, positions=64, epochs=6)
    store_options(shop / "options.json", msgspec.structs.replace(OPTIONS, fit=fit))
    done = _endcap(
        *("train", "events.csv", "--items", "items.csv", "--encoder", "encoder"),
        *("--options", "options.json", "--out", "model", "--json"),
        cwd=shop,
    )
    assert done.returncode == 0, done.stderr
    return Trained(shop / "model", encoder, done.stderr)


def test_training_says_how_many_new_items_it_placed(trained: Trained) -> None:
    assert "4 items that no event names are placed by their text" in trained.said
    assert trained.bundle.manifest.vocabulary_size == len(AISLES) * OF_AISLE + len(NEW) + 2


def test_a_new_item_is_near_to_a_shopper_of_its_aisle_alone(trained: Trained) -> None:
    bundle = trained.bundle
    scorer = OnnxScorer(bundle, threads=1)
    for item in NEW:
        aisle = item.removeprefix("new-")
        listed = _listed(bundle, scorer, [f"{aisle}-1", f"{aisle}-3", f"{aisle}-4"])
        assert item in listed
        assert next(found for found in listed if found in NEW) == item, listed


def test_a_new_item_is_named_by_words_and_recommended_from(trained: Trained, shop: Path) -> None:
    done = _endcap("recommend", "goat milk", "--bundle", "model", "--json", cwd=shop)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["from"] == ["new-milk"]
    aisles = Counter(item["id"].split("-")[0] for item in told["items"])
    assert aisles["milk"] >= 8, aisles


def test_a_word_means_what_has_sold_before_what_is_new(trained: Trained, shop: Path) -> None:
    popularity = trained.bundle.generators.popularity
    sold, new = (popularity[trained.bundle.index_of[each[0]]] for each in (RARE, LIKE_RARE))
    assert new > sold
    done = _endcap("recommend", "oat milk", "--bundle", "model", "--json", cwd=shop)
    assert done.returncode == 0, done.stderr
    named = json.loads(done.stdout)["understood"][0]["items"]
    assert [each["id"] for each in named] == [RARE[0], LIKE_RARE[0]]


def test_the_words_are_those_of_the_command_that_makes_words(trained: Trained, shop: Path) -> None:
    again = shop / "again"
    shutil.copytree(trained.folder, again)
    (again / "words.npz").unlink()
    done = _endcap("words", "--bundle", "again", "--encoder", "encoder", cwd=shop)
    assert done.returncode == 0, done.stderr
    assert (again / "words.npz").read_bytes() == (trained.folder / "words.npz").read_bytes()
    assert load_bundle(again).manifest == trained.bundle.manifest


def test_without_titles_or_without_the_wish_there_are_no_words() -> None:
    said = Quiet()
    assert words_for(_untitled(), PLAIN, Wording(None, "en", True), said) is None
    assert not said.said
    assert words_for(_titled("Milk"), PLAIN, Wording(None, "en", False), said) is None


@pytest.mark.parametrize(
    ("text", "columns", "says"),
    [
        ("item_id,name\nmilk,Milk\n", {}, "no column 'title' for title; it has item_id, name; say"),
        ("item_id,name\nmilk,Milk\n", {}, "--items-column title=name"),
        ("item_id,name\nmilk,\n", {"title": "name"}, "has no word in its column 'name'"),
    ],
)
def test_a_file_of_items_without_titles_is_told_so(
    tmp_path: Path, text: str, columns: dict[str, str], says: str
) -> None:
    items = tmp_path / "items.csv"
    items.write_text(text)
    form = EventForm(items=items, item_columns=columns)
    said = Quiet()
    assert words_for(_untitled(), form, Wording(None, "en", True), said) is None
    assert "there will be no words" in said.said[0]
    assert says in said.said[0]


def test_an_encoder_that_has_nothing_to_read_is_told_so(trained: Trained) -> None:
    said = Quiet()
    assert words_for(_untitled(), PLAIN, Wording(trained.encoder, "en", True), said) is None
    assert "no item has a title" in said.said[0]


def test_an_encoder_that_is_not_wanted_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--no-words"):
        words_for(_titled("Milk"), PLAIN, Wording(tmp_path, "en", False), Quiet())
    with pytest.raises(DataError, match=r"no config\.json"):
        words_for(_titled("Milk"), PLAIN, Wording(tmp_path, "en", True), Quiet())


def test_a_student_s_bundle_takes_the_words_of_its_teacher(
    trained: Trained, tmp_path: Path
) -> None:
    bundle = trained.bundle
    kept = words_as_in(trained.folder, bundle.manifest)
    assert kept is not None
    words = kept(bundle.items, tmp_path, Quiet())
    assert encode_words(words) == (trained.folder / "words.npz").read_bytes()
    assert OnnxTextEncoder(tmp_path).fingerprint == words.about.encoder
    with pytest.raises(BundleError, match="other titles"):
        kept(_titled("Milk").items, tmp_path, Quiet())


def _untitled() -> DataSet:
    data = aisle_shop()
    return data._replace(items=tuple(CatalogueItem(i.item_id, i.item_id) for i in data.items))


def _titled(title: str) -> DataSet:
    return aisle_shop()._replace(items=(CatalogueItem("1", title),))


def _listed(bundle: Bundle, scorer: OnnxScorer, viewed: list[str]) -> list[str]:
    view = EventType.VIEW_ITEM.code
    acts = [Act(at, view, bytes([at]), (item,)) for at, item in enumerate(viewed)]
    session = fold_acts(Session("somebody"), acts)
    found = rescore([session], bundle, scorer, Policy(size=2 * OF_AISLE))["somebody"]
    return [each.id for each in found.items]


def _endcap(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "endcap.deploy.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=170)
