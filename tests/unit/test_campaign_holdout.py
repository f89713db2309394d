"""A holdout read back: what the lot tells, how sure that is, and which purchases count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.errors import DataError
from endcap.events import Event, EventItem, EventType
from endcap.marketing.holdout import OTHERS, Outcomes, achieved, lot, result_of
from endcap.marketing.holdout_simulation import holdout_selftest
from endcap.streams.campaign_purchases import Purse, Since

DAY = Since(1_700_000_000_000, 1_700_086_400_000)


def outcomes(size: int = 400, effect: float = 5.0) -> Outcomes:
    rng = np.random.default_rng(3)
    held = rng.random(size) < 0.3
    spend = rng.gamma(2.0, 10.0, size) + effect * ~held
    names = np.where(np.arange(size) % 2, "lapsing", "active")
    return Outcomes(held, rng.uniform(1, 9, size), spend, np.ones(size, np.int64), names)


def test_the_difference_of_the_arms_is_told_with_expected_beside_it() -> None:
    made = outcomes()
    told = result_of(made)
    held = made.is_held_out
    plain = made.spend[~held].mean() - made.spend[held].mean()
    assert told["achieved"] == pytest.approx(plain, abs=1e-4)
    assert told["interval"][0] < 5.0 < told["interval"][1]
    assert told["expected"] == pytest.approx(made.expected.mean(), abs=1e-4)
    assert told["total"]["achieved"] == pytest.approx((~held).sum() * plain, abs=0.1)
    assert [row["segment"] for row in told["segments"]] == ["active", "lapsing"]
    assert [row["expected_uplift"] for row in told["by_expected"]] == ["low", "middle", "high"]
    for rows in (told["segments"], told["by_expected"]):
        assert sum(row["addressed"] + row["held_out"] for row in rows) == len(held)


def test_small_segments_and_those_without_a_name_are_told_together() -> None:
    made = outcomes()
    names = np.array(["rare"] * 20 + [""] * 40 + ["many"] * 340)
    told = result_of(made._replace(segment=names))
    assert {row["segment"] for row in told["segments"]} == {"many", OTHERS}


def test_a_segment_that_is_in_one_arm_alone_tells_nothing() -> None:
    made = outcomes()
    sent = made._replace(segment=np.where(made.is_held_out, "left", "sent"))
    for row in result_of(sent)["segments"]:
        assert (row["achieved"], row["interval"]) == (None, None)


def test_what_cannot_be_compared_says_why() -> None:
    made = outcomes()
    nobody = np.zeros(len(made.spend), bool)
    with pytest.raises(DataError, match=r"holdout in campaigns\.yaml"):
        result_of(made._replace(is_held_out=nobody))
    with pytest.raises(DataError, match="nobody was addressed"):
        result_of(made._replace(is_held_out=~nobody))
    with pytest.raises(DataError, match="bought anything since"):
        result_of(made._replace(orders=np.zeros(len(nobody), np.int64)))


def test_intervals_hold_the_truth_of_made_up_campaigns_where_plain_ones_do_not() -> None:
    told = holdout_selftest(seed=1)
    assert told["is_sound"]
    assert told["plain_covered"] < told["covered"]


def test_an_arm_of_one_is_never_sure() -> None:
    assert not np.isfinite(achieved(np.array([1.0, 2.0]), np.array([9.0])).low)


def test_a_lot_that_does_not_fit_its_share_is_noticed() -> None:
    held = np.arange(1000) < 100
    assert lot(held, 0.1).is_sound
    assert not lot(held, 0.2).is_sound


def bought(at_ms: int, *lines: EventItem, name: str = "a", order: str = "t", **more: str) -> Event:
    kind = EventType(more.get("kind", "purchase"))
    return Event(
        event_id=name,
        user_id=more.get("user", "ann"),
        event_name=kind,
        timestamp_ms=at_ms,
        items=lines,
        transaction_id=order,
    )


def test_purchases_of_the_chosen_since_the_plan_count_and_no_others() -> None:
    purse = Purse({"ann": DAY}, None)
    tea = EventItem("tea", 2.5, 2)
    for event in (
        bought(DAY.from_ms - 1, tea, name="before"),
        bought(DAY.from_ms, tea, name="first"),
        bought(DAY.from_ms, tea, name="first"),
        bought(DAY.until_ms - 1, EventItem("milk"), name="free", order="u"),
        bought(DAY.until_ms, tea, name="after"),
        bought(DAY.from_ms, tea, name="stranger", user="bo"),
    ):
        purse.take(event)
    spent = purse.spent()
    assert (spent.money, spent.orders) == ({"ann": 5.0}, {"ann": 2})
    assert spent.left_out == {"repeated_events": 1, "lines_without_price": 1}


def test_only_the_goods_that_were_named_count() -> None:
    purse = Purse({"ann": DAY}, ["tea"])
    purse.take(bought(DAY.from_ms, EventItem("tea", 2.0), EventItem("milk", 9.0)))
    purse.take(bought(DAY.from_ms, EventItem("milk", 9.0), name="b", order="u"))
    assert purse.spent()[:2] == ({"ann": 2.0}, {"ann": 1})


@given(st.permutations(range(4)))
def test_what_is_given_back_is_taken_off_in_whatever_order_it_is_heard(order: list[int]) -> None:
    tea, milk = EventItem("tea", 2.0, 3), EventItem("milk", 1.5)
    events = [
        bought(DAY.from_ms, tea, milk, name="buys"),
        bought(DAY.from_ms + 5, EventItem("tea", 2.0), name="one back", kind="refund"),
        bought(DAY.from_ms, milk, name="buys again", order="u"),
        bought(DAY.from_ms + 9, name="all back", order="u", kind="refund"),
    ]
    purse = Purse({"ann": DAY}, None)
    for place in order:
        purse.take(events[place])
    assert purse.spent()[:2] == ({"ann": 5.5}, {"ann": 1})
