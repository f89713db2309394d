"""Slates by rules: what each rule does, and what no rule can do."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_shelf import NOW_MS, asked_of, ids, ruled

from endcap.catalogue import CatalogueItem
from endcap.policy import Policy, make_slate
from endcap.rules import Ruling, parse_rules, pins_of
from endcap.sessions import Carted, Purchased, Session

DAY_MS = 86_400_000
NOBODY = Session("u")
SHELF = [
    CatalogueItem("milk", "Milk", "Dairy", price=1.0, brand="Alm"),
    CatalogueItem("brie", "Brie", "Dairy", price=4.0, brand="Roi"),
    CatalogueItem("tea", "Tea", "Drinks", price=3.0, stock=2),
    CatalogueItem("cola", "Cola", "Drinks", price=1.5, stock=500),
    CatalogueItem("pan", "Pan", "", price=30.0),
    CatalogueItem("gone", "Gone", "Dairy", in_stock=False),
    CatalogueItem("last", "The last one", "Dairy", stock=0),
]
SCORES = [5.0, 4.0, 3.0, 2.0, 1.0, 9.0, 9.5]
ASKED = asked_of(SHELF, SCORES, NOBODY)
BEST_FIRST = ["milk", "brie", "tea", "cola", "pan"]


def rule(said: str) -> str:
    return f"rules:\n- {{name: r, {said}}}"


@pytest.mark.parametrize(
    ("text", "slate"),
    [
        ("", BEST_FIRST),
        (rule("block: true, where: {item: brie}"), ["milk", "tea", "cola", "pan"]),
        (rule("block: true, where: {category: Dairy}"), ["tea", "cola", "pan"]),
        (rule("block: true, where: {category: [Dairy, Drinks]}"), ["pan"]),
        (rule("block: true, where: {brand: Alm}"), ["brie", "tea", "cola", "pan"]),
        (rule("block: true, where: {price: {min: 3, max: 4}}"), ["milk", "cola", "pan"]),
        (rule("block: true, where: {stock: {max: 5}}"), ["milk", "brie", "cola", "pan"]),
        (rule("block: true, where: {category: Dairy, price: {min: 2}}"),
         ["milk", "tea", "cola", "pan"]),
        (rule("boost: {points: 3.5}, where: {item: cola}"), ["cola", "milk", "brie", "tea", "pan"]),
        (rule("boost: 10, where: {item: cola}"), ["milk", "cola", "brie", "tea", "pan"]),
        (rule("bury: {points: 9}, where: {category: Dairy}"),
         ["tea", "cola", "pan", "milk", "brie"]),
        (rule("pin: 1, where: {item: pan}"), ["pan", "milk", "brie", "tea", "cola"]),
        (rule("pin: 2, where: {item: [pan, gone, cola]}"), ["milk", "pan", "cola", "brie", "tea"]),
        (rule("pin: 1, where: {category: Drinks}"), ["tea", "milk", "brie", "cola", "pan"]),
        (rule("pin: 1, where: {item: gone}"), BEST_FIRST),
        (rule("pin: 9, where: {item: milk}"), ["brie", "tea", "cola", "pan", "milk"]),
        ("diversity: 0.5", ["milk", "tea", "brie", "pan", "cola"]),
        ("per_category: 1", ["milk", "tea", "pan"]),
    ],
)  # fmt: skip
def test_what_a_rule_does(text: str, slate: list[str]) -> None:
    assert ids(ruled(text, ASKED)) == slate


def test_a_block_goes_before_a_pin() -> None:
    text = "rules:\n- {name: p, pin: 1, where: {item: pan}}\n"
    assert "pan" not in ids(ruled(text + "- {name: b, block: true, where: {item: pan}}", ASKED))


def test_a_pin_shows_what_the_model_did_not_name_and_says_so_of_no_rule() -> None:
    asked = asked_of(SHELF, SCORES, NOBODY, candidates=3)
    slate = ruled(rule("pin: 1, where: {item: pan}"), asked)
    assert ids(slate) == ["pan", "milk", "brie", "tea"]
    assert (slate[0].score, slate[0].reason) == (0.0, "chosen by the shop")


def test_a_pin_of_a_category_that_no_candidate_has_shows_its_most_popular_item() -> None:
    popularity = np.array([0, 0.1, 0.1, 0.2, 0.3, 0.4, 0.9, 0.9], np.float32)
    asked = asked_of(SHELF, SCORES, NOBODY, candidates=2)._replace(popularity=popularity)
    text = rule("pin: 1, where: {category: Drinks}")
    slate = ruled(text, asked)
    assert ids(slate) == ["cola", "milk", "brie"]
    assert (slate[0].score, slate[0].reason) == (0.0, "chosen by the shop")
    in_cart = asked._replace(session=Session("u", carted=(Carted("cola", NOW_MS),)))
    assert ids(ruled(text, in_cart)) == ["tea", "milk", "brie"]
    sold_out = rule("pin: 1, where: {stock: {max: 0}}")
    assert ids(ruled(sold_out, asked)) == ["milk", "brie"]
    none = rule("pin: 1, where: {brand: Unheard}")
    assert ids(ruled(none, asked)) == ["milk", "brie"]


def test_a_pin_that_takes_another_place_is_told_with_its_rule_and_no_other() -> None:
    text = (
        "rules:\n- {name: last, pin: 9, where: {item: milk}}\n"
        "- {name: first, pin: 1, where: {category: Drinks}}\n"
        "- {name: too, pin: 1, where: {item: pan}}\n"
        "- {name: far, pin: 90, where: {item: brie}}"
    )
    assert ids(ruled(text, ASKED)) == ["tea", "pan", "brie", "cola", "milk"]
    ruling = Ruling(parse_rules(text), "default", NOW_MS, len(SHELF))
    assert pins_of(ASKED, Policy(), ruling) == {"tea": "first", "pan": "too", "milk": "last"}


def test_a_rule_holds_at_its_placements_and_in_its_window() -> None:
    text = rule("block: true, where: {item: milk}, placements: [home], until: 2025-11-24T17:00")
    assert ids(ruled(text, ASKED, placement="home"))[0] == "brie"
    assert ids(ruled(text, ASKED))[0] == "milk"
    assert ids(ruled(text, ASKED, placement="home", wall_ms=NOW_MS + DAY_MS))[0] == "milk"


def test_a_mix_holds_at_its_placement() -> None:
    text = "diversity: 0\nplacements:\n  basket: {diversity: 1, per_category: 1}"
    assert ids(ruled(text, ASKED)) == BEST_FIRST
    assert ids(ruled(text, ASKED, placement="basket")) == ["milk", "tea", "pan"]


def bought(item_id: str, times: int, days_ago: float) -> Session:
    last_ms = NOW_MS - int(days_ago * DAY_MS)
    return Session("u", purchased=(Purchased(item_id, times, last_ms, last_ms, 1.0),))


@pytest.mark.parametrize(
    ("wait", "times", "days_ago", "dairy"),
    [
        ("once", 1, 300, []),
        ("7 days", 3, 6, []),
        ("7 days", 3, 8, ["milk", "brie"]),
        ("always", 1, 0.1, ["milk", "brie"]),
        (None, 1, 0.1, ["brie"]),
    ],
)
def test_what_was_bought_stays_away_as_its_category_says(
    wait: str | None, times: int, days_ago: float, dairy: list[str]
) -> None:
    text = f"already_bought: {{Dairy: {wait}}}" if wait else ""
    asked = asked_of(SHELF, SCORES, bought("milk", times, days_ago))
    slate = ids(ruled(text, asked))
    assert [item for item in slate if item in {"milk", "brie"}] == dairy
    assert {"tea", "cola"} <= set(slate)


@st.composite
def shelves(draw: Any) -> Any:
    """Items, some sold out, a shopper with a cart and purchases, and scores."""
    count = draw(st.integers(1, 40))
    items = [
        CatalogueItem(
            f"i{n}",
            f"Item {n}",
            draw(st.sampled_from(["", "a", "b", "c"])),
            price=draw(st.sampled_from([None, 1.0, 5.0])),
            in_stock=draw(st.booleans()),
            brand=draw(st.sampled_from(["", "x", "y"])),
            stock=draw(st.sampled_from([None, 0, 1, 9])),
        )
        for n in range(count)
    ]
    scores = [draw(st.floats(-9, 9, width=32)) for _ in items]
    cart = draw(st.sets(st.integers(0, count - 1), max_size=3))
    past = draw(st.lists(st.integers(0, count - 1), max_size=5, unique=True))
    session = Session(
        "u",
        carted=tuple(Carted(f"i{n}", NOW_MS) for n in cart),
        purchased=tuple(
            Purchased(f"i{n}", 1 + n % 2, NOW_MS - 10**10 + at, 0, 1.0) for at, n in enumerate(past)
        ),
    )
    return items, scores, session, draw(st.integers(0, count))


_names = st.sampled_from(["item: [i0, i1, i2]", "item: i3", "category: a", "category: [b, c]",
                          "brand: x", "price: {max: 2}", "stock: {max: 9}"])  # fmt: skip
_acts = st.sampled_from(["block: true", "pin: 1", "pin: 3", "boost: 1000", "boost: {points: 100}",
                         "bury: 9"])  # fmt: skip
_rows = st.lists(st.tuples(_acts, _names), max_size=5)


def text_of(rows: list[tuple[str, str]], diversity: float) -> str:
    said = [f"- {{name: r{n}, {do}, where: {{{of}}}}}" for n, (do, of) in enumerate(rows)]
    top = f"diversity: {diversity}\nalready_bought: {{c: once}}\n"
    return top + "\n".join(["rules:", *said] if said else ["rules: []"])


@settings(max_examples=60, deadline=None)
@given(shelves(), _rows, st.sampled_from([0.0, 0.4, 1.0]), st.integers(1, 25))
def test_whatever_rules_say_nothing_is_shown_that_must_not_be(
    shelf: Any, rows: list[tuple[str, str]], diversity: float, size: int
) -> None:
    items, scores, session, candidates = shelf
    asked = asked_of(items, scores, session, candidates)
    slate = ruled(text_of(rows, diversity), asked, Policy(size=size))
    by_id = {item.item_id: item for item in items}
    shown = [by_id[item.id] for item in slate]
    assert not [item for item in shown if item.is_sold_out]
    assert len(ids(slate)) == len(set(ids(slate))) <= size
    assert not set(ids(slate)) & set(session.cart)
    assert all(item.reason for item in slate)
    blocked = {of for do, of in rows if do == "block: true"}
    assert not ("category: a" in blocked and any(item.category == "a" for item in shown))
    assert not ("brand: x" in blocked and any(item.brand == "x" for item in shown))


@settings(max_examples=40, deadline=None)
@given(shelves(), st.integers(1, 25))
def test_by_empty_rules_the_slate_is_the_one_without_rules(shelf: Any, size: int) -> None:
    items, scores, session, candidates = shelf
    asked, policy = asked_of(items, scores, session, candidates), Policy(size=size)
    plain = make_slate(session, asked.candidates, asked.scored, asked.item_at, policy, asked.now_ms)
    assert ruled("", asked, policy) == plain
    assert not [i for i in plain if items[int(i.id[1:])].is_sold_out]
