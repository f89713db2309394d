"""Items that no event has named: what is hidden stays hidden, and text finds their place."""

import numpy as np
import pytest
import torch

from endcap.catalogue import CatalogueItem
from endcap.events import EventType
from endcap.export.data.interactions import Cases, DataSet, Interactions, Split
from endcap.export.data.protocols import split
from endcap.export.encoder import EncoderOptions, SessionEncoder
from endcap.export.text.cold_items import place_cold_items, popularity_of_like
from endcap.export.text.cold_start import cold_start
from endcap.export.text.hidden_items import hide_items
from endcap.export.text.shopper_space import svd_space
from endcap.export.text.unseen_items import ItemTexts, place_unseen

pytestmark = pytest.mark.models
AISLES, OF_AISLE, SHOPPERS, VISITS = 10, 20, 300, 24
N_ITEMS = AISLES * OF_AISLE


def aisle_of(item: int) -> int:
    return (item - 1) // OF_AISLE


@pytest.fixture(scope="module")
def shop() -> DataSet:
    """Each shopper keeps to two aisles; a title says the aisle."""
    rng = np.random.default_rng(4)
    aisles = np.array([rng.choice(AISLES, 2, replace=False) for _ in range(SHOPPERS)])
    chosen = aisles[np.arange(SHOPPERS)[:, None], rng.integers(2, size=(SHOPPERS, VISITS))]
    bought = chosen * OF_AISLE + rng.integers(OF_AISLE, size=chosen.shape) + 1
    n = SHOPPERS * VISITS
    return DataSet(
        "aisles",
        Interactions(
            np.arange(0, n + 1, VISITS, dtype=np.int64),
            bought.ravel().astype(np.int32),
            np.full(n, EventType.PURCHASE.code, np.int8),
            np.tile(np.arange(VISITS, dtype=np.int64) * 1000, SHOPPERS),
            np.arange(n, dtype=np.int32),
        ),
        tuple(f"s{number}" for number in range(SHOPPERS)),
        tuple(CatalogueItem(f"i{n}", f"aisle {aisle_of(n)}") for n in range(1, N_ITEMS + 1)),
        {},
    )


@pytest.fixture(scope="module")
def parts(shop: DataSet) -> Split:
    return split(shop, "leave-one-out")


@pytest.fixture(scope="module")
def texts() -> np.ndarray:
    vectors = np.zeros((N_ITEMS + 1, AISLES), dtype=np.float32)
    vectors[np.arange(1, N_ITEMS + 1), [aisle_of(n) for n in range(1, N_ITEMS + 1)]] = 1.0
    return vectors


def histories(cases: Cases) -> list[np.ndarray]:
    pairs = zip(cases.starts(), cases.ends, strict=True)
    return [cases.interactions.items[start:end] for start, end in pairs]


def test_a_hidden_item_is_in_no_event_and_no_history_and_is_every_answer(parts: Split) -> None:
    cold = hide_items(parts.known, parts.test, 0.1, seed=1)
    assert cold.hidden.size == N_ITEMS // 10
    assert not np.isin(cold.known.items, cold.hidden).any()
    assert not np.isin(cold.cases.interactions.items, cold.hidden).any()
    assert np.isin(cold.cases.targets, cold.hidden).all()
    assert all(history.size for history in histories(cold.cases))


def test_hiding_takes_nothing_else_away(parts: Split) -> None:
    cold = hide_items(parts.known, parts.test, 0.1, seed=1)
    gone = np.isin(parts.known.items, cold.hidden)
    np.testing.assert_array_equal(cold.known.items, parts.known.items[~gone])
    asked = [
        (sequence, tuple(history[~np.isin(history, cold.hidden)]), target)
        for sequence, history, target in zip(
            parts.test.sequences, histories(parts.test), parts.test.targets, strict=True
        )
        if target in cold.hidden
    ]
    found = [
        (sequence, tuple(history), target)
        for sequence, history, target in zip(
            cold.cases.sequences, histories(cold.cases), cold.cases.targets, strict=True
        )
    ]
    assert found == asked


def test_other_seeds_hide_other_items(parts: Split) -> None:
    one, other = (hide_items(parts.known, parts.test, 0.1, seed).hidden for seed in (1, 2))
    assert set(one) != set(other)


def test_a_cold_item_lies_between_those_that_are_like_it(texts: np.ndarray) -> None:
    items = [CatalogueItem(str(n), "", price=1.0) for n in range(N_ITEMS)]
    vectors = np.zeros((N_ITEMS + 1, 4), dtype=np.float32)
    vectors[1 : OF_AISLE + 1] = [1.0, 0.0, 0.0, 0.0]
    vectors[OF_AISLE + 1 :] = [0.0, 1.0, 0.0, 0.0]
    is_known = np.ones(N_ITEMS + 1, dtype=bool)
    is_known[[1, N_ITEMS]] = False
    blank = vectors.copy()
    blank[[1, N_ITEMS]] = 0.0
    placed = place_cold_items(items, texts, blank, is_known)
    np.testing.assert_allclose(placed, vectors, atol=0.01)
    np.testing.assert_array_equal(placed[is_known], vectors[is_known])


def test_the_price_tells_items_of_one_text_apart() -> None:
    prices = [1.0] * 40 + [20.0] * 30 + [19.0, None]
    items = [CatalogueItem(str(n), "", price=price) for n, price in enumerate(prices)]
    texts = np.ones((len(items) + 1, 1), dtype=np.float32)
    counts = np.array([0.0, *([100.0] * 40), *([1.0] * 30), 0.0, 0.0], dtype=np.float32)
    is_known = counts > 0
    found = popularity_of_like(items, texts, counts, is_known)
    assert found[71] == pytest.approx(1.0, abs=0.01)
    assert found[72] == pytest.approx(100.0, abs=0.01)  # no price: taken as the median


def test_with_nothing_known_nothing_is_placed() -> None:
    items = [CatalogueItem("1", "milk"), CatalogueItem("2", "bread")]
    vectors = np.zeros((3, 2), dtype=np.float32)
    placed = place_cold_items(items, np.ones((3, 1), np.float32), vectors, np.zeros(3, bool))
    np.testing.assert_array_equal(placed, vectors)


def test_text_finds_the_shopper_s_aisle_where_counts_know_nothing(
    shop: DataSet, parts: Split, texts: np.ndarray
) -> None:
    found = cold_start(parts, shop.items, texts, svd_space, share=0.4, seeds=(1, 2))
    assert found["by_text"]["hr_at_20_hidden"] > 2.5 * found["random"]["hr_at_20_hidden"]
    assert found["by_text"]["hr_at_20_hidden"] > 1.5 * found["like_popular"]["hr_at_20_hidden"]
    assert found["random"]["hr_at_20_hidden"] == pytest.approx(20 / (0.4 * N_ITEMS), abs=0.001)


@pytest.fixture
def encoder() -> SessionEncoder:
    torch.manual_seed(1)
    return SessionEncoder(N_ITEMS, EncoderOptions(dim=16, layers=1, length=10))


def test_an_item_that_training_never_met_lies_in_its_aisle_of_the_transformer(
    shop: DataSet, parts: Split, texts: np.ndarray, encoder: SessionEncoder
) -> None:
    cold = hide_items(parts.known, parts.test, 0.1, seed=1)
    trained = encoder.items.weight.detach().clone()
    said = ItemTexts(texts, np.arange(N_ITEMS + 1) > 0)
    counts = np.bincount(cold.known.items, minlength=N_ITEMS + 1)[:, None].astype(np.float32)
    found = place_unseen(encoder, counts, cold.known, shop.items, said)
    np.testing.assert_array_equal(found.rows, cold.hidden)
    now = encoder.items.weight.detach()
    kept = np.setdiff1d(np.arange(N_ITEMS + 1), cold.hidden)
    assert torch.equal(now[kept], trained[kept])
    vectors = encoder.item_vectors(torch.arange(N_ITEMS + 1)).detach().numpy()
    for item in cold.hidden:
        like = [n for n in kept[1:] if aisle_of(n) == aisle_of(item)]
        mean = vectors[like].mean(0)
        assert vectors[item] @ mean / np.linalg.norm(mean) > 0.99
        assert found.shares[item, 0] == pytest.approx(counts[like].mean(), rel=0.01)
    np.testing.assert_array_equal(found.shares[kept], counts[kept])


def test_an_item_that_the_shop_does_not_offer_stays_where_it_was(
    shop: DataSet, parts: Split, texts: np.ndarray, encoder: SessionEncoder
) -> None:
    cold = hide_items(parts.known, parts.test, 0.1, seed=1)
    trained = encoder.items.weight.detach().clone()
    offered = np.zeros(N_ITEMS + 1, dtype=bool)
    offered[cold.hidden[0]] = True
    shares = np.zeros((N_ITEMS + 1, 1), dtype=np.float32)
    found = place_unseen(encoder, shares, cold.known, shop.items, ItemTexts(texts, offered))
    assert found.rows.tolist() == [cold.hidden[0]]
    moved = (encoder.items.weight.detach() != trained).any(dim=1)
    assert moved.nonzero().flatten().tolist() == [cold.hidden[0]]


def test_where_most_of_the_catalogue_is_new_it_is_placed_all_the_same(
    shop: DataSet, parts: Split, texts: np.ndarray, encoder: SessionEncoder
) -> None:
    cold = hide_items(parts.known, parts.test, 0.6, seed=1)
    met = np.setdiff1d(np.arange(1, N_ITEMS + 1), cold.hidden)
    assert met.size < N_ITEMS / 2
    encoder.keep_only(met)
    shares = np.zeros((N_ITEMS + 1, 1), dtype=np.float32)
    said = ItemTexts(texts, np.arange(N_ITEMS + 1) > 0)
    place_unseen(encoder, shares, cold.known, shop.items, said)
    lengths = encoder.items.weight.detach().norm(dim=1)
    torch.testing.assert_close(lengths[cold.hidden], lengths[met].median().expand(cold.hidden.size))
