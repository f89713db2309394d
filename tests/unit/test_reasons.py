"""What a shopper is told of an item, and in whose words."""

import numpy as np
import pytest

from endcap.candidates import FEATURES, Candidates
from endcap.catalogue import CatalogueItem
from endcap.messages import ENGLISH, TEXTS, Messages, parse_messages
from endcap.reasons import habit_of, reasons
from endcap.yaml_lines import FileMistakesError

GERMAN = """
together: "oft gekauft mit {title}"
bought_every: "kaufst du etwa alle {days} Tage"
popular_in: "beliebt in {category}"
"""


def features_of(**known: float) -> list[float]:
    return [known.get(name, 0.0) for name in FEATURES]


def reason(
    messages: Messages = ENGLISH, beside: int = 0, category: str = "", **known: float
) -> str:
    """Of item 1; `beside` is the item that spoke loudest."""
    found = Candidates(
        np.array([1], np.int32),
        np.array([features_of(**known)], np.float32),
        np.zeros(1, np.int32),
        np.array([beside], np.int32),
    )
    items = {1: CatalogueItem("1", "Milk", category), 2: CatalogueItem("2", "Brie")}
    (said,) = reasons(found, [0], items.__getitem__, messages)
    return said


def habit(times: int, gap_days: float, days_ago: float) -> dict[str, float]:
    return {
        "times_bought": float(np.log1p(times)),
        "bought_recency": float(np.exp(-days_ago / 30)),
        "due": min(days_ago / gap_days, 4.0),
    }


@pytest.mark.parametrize(
    ("known", "says"),
    [
        (habit(5, 9, 7), "you buy this about every 9 days"),
        (habit(5, 1.2, 1), "you buy this nearly every day"),
        (habit(2, 9, 7), "you bought this 2 times"),
        (habit(5, 9, 40), "you bought this 5 times"),  # they have stopped
        (habit(5, 9, 0), "you bought this 5 times"),
        (habit(5, 90, 30), "you bought this 5 times"),
        ({"times_bought": float(np.log(2))}, "you bought this before"),
        ({"in_history": 1.0, "stan": 2.0}, "you looked at this before"),
        ({"stan": 2.0}, "shoppers like you chose this"),
        ({}, "popular right now"),
    ],
)
def test_the_strongest_evidence_is_told(known: dict[str, float], says: str) -> None:
    assert reason(**known) == says


def test_what_goes_with_it_and_where_it_is_popular_are_named() -> None:
    assert reason(beside=2, together=0.5) == "often bought with Brie"
    assert reason(category="Dairy") == "popular in Dairy"


def test_a_habits_days_are_those_between_its_purchases() -> None:
    assert habit_of(features_of(**habit(4, 12.5, 20))).days == pytest.approx(12.5)


def test_another_language_is_a_file_and_what_it_leaves_out_is_english() -> None:
    german = parse_messages(GERMAN)
    assert reason(german, beside=2, together=0.5) == "oft gekauft mit Brie"
    assert reason(german, **habit(5, 9, 7)) == "kaufst du etwa alle 9 Tage"
    assert reason(german, category="Kaffee") == "beliebt in Kaffee"
    assert reason(german) == TEXTS["popular"]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("togehter: x", 1, "Did you mean together?"),
        ("popular: hot\ntogether: 'with {titel}'", 2, "may hold {title}"),
        ("together: 'with {title.__class__}'", 1, "may hold {title}"),
        ("together: 'with {title:>99999}'", 1, "may hold {title}"),
        ("together: 'with {}'", 1, "may hold {title}"),
        ("together: 'with {title'", 1, "doubled"),
        ("alike: ''", 1, "empty"),
    ],
)
def test_a_text_that_cannot_be_filled_in_is_refused_with_its_line(
    text: str, line: int, says: str
) -> None:
    with pytest.raises(FileMistakesError) as told:
        parse_messages(text)
    (mistake,) = told.value.mistakes
    assert mistake.line == line
    assert says in mistake.says
