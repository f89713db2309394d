"""Life-time value against published figures, and segments from sessions."""

from pathlib import Path

import numpy as np
import pytest

from endcap.deploy.segment_data import read_purchases
from endcap.errors import DataError
from endcap.events import EventType
from endcap.marketing.lifetime_value import (
    BgNbd,
    GammaGamma,
    History,
    bg_nbd_log_likelihood,
    chance_alive,
    chance_away,
    expected_spend,
    expected_visits,
    fit_bg_nbd,
    fit_gamma_gamma,
    longest_gap,
)
from endcap.marketing.segment_model import (
    DAY_MS,
    ItemFacts,
    SegmentModel,
    encode_model,
    read_model,
    segment_of,
)
from endcap.segments import decode_segment, encode_segment, state_at
from endcap.sessions import Act, Session, fold_acts

CDNOW = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)
"""Fader, Hardie & Lee (2005), table 2; times in weeks."""
ONE = History(np.array([2.0]), np.array([30.43]), np.array([38.86]))
ITEMS = {
    "milk": ItemFacts(1.5, 0.1, "Milk", "National"),
    "wine": ItemFacts(9.0, 0.9, "Wine", "Private"),
}
MODEL = SegmentModel(
    BgNbd(1.5, 12.0, 1.0, 20.0), GammaGamma(2.0, 2.5, 19.0), (100.0, 500.0), 0.5, ITEMS
)
NOW_MS = 20_000 * DAY_MS


def test_a_customer_of_the_paper_is_expected_as_often_as_there() -> None:
    """Fader & Hardie, "Implementing the BG/NBD Model in Excel": 1.226 in the next 39 weeks."""
    assert expected_visits(CDNOW, ONE, 39.0)[0] == pytest.approx(1.226, abs=5e-4)


def test_spend_is_expected_as_in_the_note_on_gamma_gamma() -> None:
    """Fader & Hardie (2013), p. 6: with p 6.25, q 3.74, v 15.44; two visits of 22.35."""
    model = GammaGamma(6.25, 3.74, 15.44)
    told = expected_spend(model, np.array([2.0, 0.0]), np.array([22.35, 0.0]))
    assert told == pytest.approx([24.66, 35.22], abs=0.01)


def test_a_fit_finds_the_parameters_that_made_the_visits() -> None:
    truth = BgNbd(1.2, 10.0, 0.8, 4.0)
    history = made_visits(truth, 4000)
    found = fit_bg_nbd(history)
    assert bg_nbd_log_likelihood(found, history).sum() >= (
        bg_nbd_log_likelihood(truth, history).sum()
    )
    later = expected_visits(found, history, 60.0), expected_visits(truth, history, 60.0)
    assert later[0].mean() == pytest.approx(later[1].mean(), rel=0.05)


def test_hundreds_of_visits_neither_overflow_nor_cancel() -> None:
    often = History(np.array([400.0]), np.array([364.0]), np.array([365.0]))
    visits = expected_visits(BgNbd(1.5, 12.0, 4.8, 977.0), often, 365.0)[0]
    assert 200 < visits < 400


def test_who_stays_away_is_less_likely_to_be_there_and_to_come() -> None:
    late = ONE._replace(age=ONE.age + 50)
    assert chance_alive(CDNOW, late)[0] < chance_alive(CDNOW, ONE)[0]
    assert chance_away(CDNOW, late, 4.0)[0] > chance_away(CDNOW, ONE, 4.0)[0]


def test_who_comes_often_is_missed_sooner() -> None:
    assert longest_gap(CDNOW, 20, 30.0, 0.1) < longest_gap(CDNOW, 2, 30.0, 0.1)


def test_too_few_shoppers_are_refused_with_what_is_needed() -> None:
    with pytest.raises(DataError, match="At least 10 shoppers who came twice"):
        fit_bg_nbd(ONE)
    with pytest.raises(DataError, match="At least 10"):
        fit_gamma_gamma(np.ones(3), np.ones(3))


def shopper(*days_ago: int, items: tuple[str, ...] = ("milk",)) -> Session:
    acts = [
        Act(NOW_MS - days * DAY_MS, EventType.PURCHASE.code, bytes([place]), items)
        for place, days in enumerate(days_ago)
    ]
    return fold_acts(Session("u"), acts)


def test_a_purchase_moves_a_lapsing_shopper_to_active() -> None:
    away = segment_of(shopper(80, 73, 66, 59, 52), MODEL, NOW_MS, 5)
    back = segment_of(shopper(80, 73, 66, 59, 52, 0), MODEL, NOW_MS, 6)
    assert away is not None
    assert back is not None
    assert state_at(away, NOW_MS) == "lapsing"
    assert state_at(back, NOW_MS) == "active"
    assert back.churn_risk < away.churn_risk


def test_time_alone_makes_a_segment_lapse() -> None:
    segment = segment_of(shopper(14, 7, 0), MODEL, NOW_MS, 3)
    assert segment is not None
    later = (NOW_MS, segment.lapsing_from_ms, segment.lapsed_from_ms)
    assert [state_at(segment, each) for each in later] == ["active", "lapsing", "lapsed"]


def test_one_visit_is_new_and_no_purchase_is_no_segment() -> None:
    first = segment_of(shopper(0), MODEL, NOW_MS, 1)
    assert first is not None
    assert state_at(first, NOW_MS) == "new"
    assert segment_of(Session("u"), MODEL, NOW_MS, 0) is None


def test_a_segment_says_what_somebody_likes_and_whether_at_a_discount() -> None:
    segment = segment_of(shopper(14, 7, 0, items=("wine", "wine", "unknown")), MODEL, NOW_MS, 3)
    assert segment is not None
    assert [(each.name, each.share) for each in segment.categories] == [("Wine", 1.0)]
    assert [each.name for each in segment.brands] == ["Private"]
    assert segment.seeks_discounts
    assert decode_segment(encode_segment(segment)) == segment


def test_a_model_file_is_read_again_and_a_wrong_one_says_how_to_make_it() -> None:
    assert read_model(encode_model(MODEL), "m") == MODEL
    with pytest.raises(DataError, match="endcap segments build"):
        read_model(b"{}", "m")


def made_visits(model: BgNbd, size: int) -> History:
    """Visits of 180 days by the model's own story."""
    rng = np.random.default_rng(3)
    rate, leaves = rng.gamma(model.r, 1 / model.alpha, size), rng.beta(model.a, model.b, size)
    rows = []
    for each, leaving in zip(rate, leaves, strict=True):
        at, last, repeats = 0.0, 0.0, 0
        while (at := at + rng.exponential(1 / each)) < 180:
            last, repeats = at, repeats + 1
            if rng.random() < leaving:
                break
        rows.append((repeats, last, 180.0))
    return History(*np.array(rows, np.float64).T)


def test_a_shop_without_history_is_told_what_it_needs(tmp_path: Path) -> None:
    file = tmp_path / "purchases.csv"
    file.write_text("user_id,item_id,timestamp_ms,price,quantity\n")
    with pytest.raises(DataError, match="no history"):
        read_purchases(str(file))
