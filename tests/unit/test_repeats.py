"""How long what was bought stays away, learned from how shoppers came back."""

import numpy as np

from endcap.candidates import make_crowd
from endcap.candidates.returns import Returns
from endcap.catalogue import CatalogueItem
from endcap.repeats import NEVER_AGAIN_MS, OF_THE_GAP, away_of, learned_waits
from endcap.sessions import Purchased, Session

DAY_MS = 86_400_000
ITEMS = [
    CatalogueItem("old fridge", "Fridge", "Fridges"),
    CatalogueItem("new fridge", "Fridge", "Fridges"),
    CatalogueItem("milk", "Milk", "Milk"),
    CatalogueItem("oat milk", "Oat milk", "Milk"),
    CatalogueItem("thing", "Thing"),
]
RETURNS = Returns(
    np.array([0.3, 0.01, 0.02, 0.8, 0.2, 0.5], np.float32),
    np.array([9.0, 200, 300, 7, 7, 4], np.float32),
)
POPULARITY = np.array([0, 0.1, 0.0, 0.3, 0.3, 0.3], np.float32)
WAITS = learned_waits(ITEMS, RETURNS, POPULARITY)


def test_a_category_nobody_comes_back_to_is_bought_once_and_another_again() -> None:
    assert WAITS[0] == 0
    assert WAITS[1] == WAITS[2] == NEVER_AGAIN_MS
    half_a_week = OF_THE_GAP * 7 * DAY_MS
    assert np.allclose(WAITS[3:5], half_a_week, rtol=1e-5)


def test_an_item_without_a_category_goes_by_itself() -> None:
    assert np.isclose(WAITS[5], OF_THE_GAP * 4 * DAY_MS)


def test_what_was_bought_once_stays_away_and_a_habit_does_not() -> None:
    now_ms = 1000 * DAY_MS
    index_of = {item.item_id: index for index, item in enumerate(ITEMS, start=1)}

    def shopper(**days_ago: tuple[int, float]) -> Session:
        rows = [
            Purchased(name.replace("_", " "), times, now_ms - int(ago * DAY_MS), 0, 1.0)
            for name, (times, ago) in days_ago.items()
        ]
        return Session("u", purchased=tuple(sorted(rows, key=lambda row: row.last_ms)))

    crowd = make_crowd(
        [
            shopper(old_fridge=(1, 400), milk=(1, 3), oat_milk=(1, 4), unheard_of=(1, 2)),
            shopper(),
            shopper(milk=(2, 1), thing=(1, 1)),
        ],
        [now_ms] * 3,
        index_of,
        len(ITEMS),
    )
    assert away_of(crowd, WAITS) == [{1, 3}, frozenset(), {5}]
