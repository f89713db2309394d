"""Whom a campaign addresses, what it says, and whether uplift is told from response."""

import json
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from endcap.deploy.campaign_files import read_candidates
from endcap.deploy.cli import app
from endcap.errors import DataError
from endcap.marketing.assignment import Candidate, assign
from endcap.marketing.definition import CampaignFile, CampaignPlan, parse_campaigns
from endcap.marketing.message import MessageItem, write_message
from endcap.marketing.nuisances import cross_fitted, doubly_robust
from endcap.marketing.qini import curve, household_weights, interval_of, places_within, qini
from endcap.marketing.scoring import promoted_goods
from endcap.marketing.simulation import made_up
from endcap.yaml_lines import FileMistakesError

SPRING = CampaignPlan("spring", 10.0, 1.0, "Hello", "Body", holdout=0.0)
TEXT = "campaigns:\n- {name: spring, budget: 10, cost: 1, subject: Hello, body: For you}\n"
ITEM = MessageItem("1", "Tea <b>", "you bought it", 2.5)


def candidates(*uplifts: float, campaign: str = "spring", consent: bool = True) -> list[Candidate]:
    return [
        Candidate(f"u{place}", campaign, uplift, consent, 0) for place, uplift in enumerate(uplifts)
    ]


def test_the_budget_goes_to_those_who_are_moved_most() -> None:
    file = CampaignFile((msgspec.structs.replace(SPRING, budget=2.0),))
    found = assign(file, candidates(5.0, 50.0, 20.0, 40.0))
    assert {each.user_id for each in found.contacts} == {"u1", "u3"}
    assert found.left_out["no_budget_or_cap"] == 2
    assert found.spent == {"spring": 2.0}


def test_nobody_without_consent_nobody_too_often_and_nobody_at_a_loss() -> None:
    rows = [
        Candidate("silent", "spring", 50.0, False, 0),
        Candidate("often", "spring", 50.0, True, 1),
        Candidate("unmoved", "spring", 1.0, True, 0),
        Candidate("put-off", "spring", -4.0, True, 0),
        Candidate("yes", "spring", 9.0, True, 0),
    ]
    found = assign(CampaignFile((SPRING,)), rows)
    assert [each.user_id for each in found.contacts] == ["yes"]
    assert found.left_out == {
        "no_consent": 1,
        "contacted_enough": 1,
        "would_not_pay": 2,
        "no_budget_or_cap": 0,
    }


def test_caps_and_budgets_hold_over_all_campaigns() -> None:
    other = msgspec.structs.replace(SPRING, name="summer", contacts=3)
    file = CampaignFile((SPRING, other), per_shopper=1, budget=7.0)
    uplifts = np.random.default_rng(0).uniform(5, 50, 30).tolist()
    found = assign(file, candidates(*uplifts) + candidates(*uplifts[::-1], campaign="summer"))
    of_campaign = Counter(each.campaign for each in found.contacts)
    assert max(Counter(each.user_id for each in found.contacts).values()) == 1
    assert of_campaign["summer"] <= 3
    assert sum(each.cost for each in found.contacts) == 7.0


def test_the_optimiser_does_better_than_the_greedy_choice() -> None:
    """Greedily u0 goes to spring for 30, and summer is left with nobody: 30 in place of 49."""
    one = msgspec.structs.replace(SPRING, budget=1.0)
    file = CampaignFile((one, msgspec.structs.replace(one, name="summer")))
    rows = [
        Candidate("u0", "spring", 30.0, True, 0),
        Candidate("u0", "summer", 29.0, True, 0),
        Candidate("u1", "spring", 20.0, True, 0),
    ]
    chosen = {(each.user_id, each.campaign) for each in assign(file, rows).contacts}
    assert chosen == {("u0", "summer"), ("u1", "spring")}


def test_a_holdout_is_chosen_by_lot_and_stays_the_same() -> None:
    plan = msgspec.structs.replace(SPRING, budget=400.0, holdout=0.25)
    rows = candidates(*[20.0] * 400)
    first, again = (assign(CampaignFile((plan,)), rows) for _ in range(2))
    held = {each.user_id for each in first.contacts if each.is_held_out}
    assert 60 < len(held) < 140
    assert held == {each.user_id for each in again.contacts if each.is_held_out}
    assert first.spent["spring"] == 400 - len(held)


def test_no_candidates_a_stranger_and_a_repeat_are_refused() -> None:
    file = CampaignFile((SPRING,))
    with pytest.raises(DataError, match="endcap campaign score"):
        assign(file, [])
    with pytest.raises(DataError, match="summer"):
        assign(file, candidates(1.0, campaign="summer"))
    with pytest.raises(DataError, match="twice"):
        assign(file, candidates(1.0) * 2)
    with pytest.raises(DataError, match="write a number"):
        assign(file, candidates(float("nan")))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is no campaign"),
        ("campaigns: []", "there is no campaign"),
        (TEXT.replace("budget: 10, ", ""), "budget"),
        (TEXT.replace("budget: 10", "budget: 0"), "pays for nobody"),
        (TEXT.replace("budget: 10", "budget: .5"), "pays for nobody"),
        (TEXT.replace("budget: 10", "budget: -1"), ">= 0"),
        (TEXT + TEXT.partition("\n")[2], "two campaigns are called spring"),
        (TEXT.replace("cost", "kost"), "kost"),
    ],
)
def test_a_campaign_file_that_cannot_be_is_refused(text: str, says: str) -> None:
    with pytest.raises(FileMistakesError, match=says):
        parse_campaigns(text, "campaigns.yaml")


def test_what_is_put_into_a_message_is_escaped() -> None:
    plan = msgspec.structs.replace(SPRING, subject="{{ items[0].title }}", body="<i>{{ 1 }}</i>")
    message = write_message(plan, [ITEM])
    assert message.subject == "Tea <b>"
    assert "<b>" not in message.html
    assert "Tea &lt;b&gt;" in message.html
    assert "&lt;i&gt;1&lt;/i&gt;" in message.html


@pytest.mark.parametrize(
    "body",
    ["{{ nobody }}", "{{ items", "{{ items.__class__.__mro__ }}", "{{ 9 // 0 }}"],
)
def test_a_template_that_cannot_be_filled_in_is_refused(body: str) -> None:
    with pytest.raises(DataError, match="template of spring"):
        write_message(msgspec.structs.replace(SPRING, body=body), [ITEM])
    with pytest.raises(DataError, match="nothing to recommend"):
        write_message(SPRING, [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("user_id,campaign,uplift,contacts\n", "no column consent"),
        ("user_id,campaign,uplift,consent,contacts\nu,spring,much,true,0\n", "line 2"),
        ("user_id,campaign,uplift,consent,contacts\nu,spring,1,maybe,0\n", "line 2"),
        ("user_id,campaign,uplift,consent,contacts\nu,spring\n", "line 2"),
    ],
)
def test_a_file_of_candidates_names_the_line_that_is_wrong(
    text: str, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "candidates.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=says):
        read_candidates(file)


def test_goods_of_a_campaign_are_those_of_the_coupons_that_it_is_like(tmp_path: Path) -> None:
    coupons = {"campaign_id": [8, 8, 8, 9], "product_id": [20, 10, 20, 30]}
    pl.DataFrame(coupons).write_parquet(tmp_path / "coupons.parquet")
    file = CampaignFile((msgspec.structs.replace(SPRING, like=8),))
    assert promoted_goods(tmp_path, file) == [("spring", "10"), ("spring", "20")]


def test_a_segment_of_the_candidates_stays_with_the_contact(tmp_path: Path) -> None:
    file = tmp_path / "candidates.csv"
    file.write_text("user_id,campaign,uplift,consent,contacts,segment\nu,spring,9,true,0,new\n")
    (contact,) = assign(CampaignFile((SPRING,)), read_candidates(file)).contacts
    assert (contact.segment, contact.holdout) == ("new", 0.0)


def test_the_command_plans_from_files_and_writes_a_csv(tmp_path: Path) -> None:
    plans, rows, out = (tmp_path / name for name in ("c.yaml", "in.csv", "out.csv"))
    plans.write_text(TEXT)
    rows.write_text(
        "user_id,campaign,uplift,consent,contacts\na,spring,9,true,0\nb,spring,9,false,0\n"
    )
    words = ["campaign", "plan", str(plans), "--candidates", str(rows), "--out", str(out), "--json"]
    ended = CliRunner().invoke(app, words)
    told = json.loads(ended.stdout)
    assert told["contacts"] + told["held_out"] == 1
    assert told["left_out"]["no_consent"] == 1
    header = "campaign,user_id,is_held_out,expected_uplift,cost,segment,holdout"
    assert out.read_text().splitlines()[0] == header
    assert "spring,a," in out.read_text()


def test_a_random_order_gains_nothing_and_the_true_one_the_most() -> None:
    rng = np.random.default_rng(0)
    effects, one = rng.normal(1, 3, 4000), np.zeros(4000, np.int64)
    by_chance = qini(effects, places_within(rng.random(4000), one))
    best = qini(effects, places_within(effects, one))
    worst = qini(effects, places_within(-effects, one))
    assert abs(by_chance) < 0.1 < best
    assert worst == pytest.approx(-best)
    assert curve(effects, places_within(effects, one))[-1] == pytest.approx(effects.mean())


def test_effects_of_a_made_up_shop_are_found_where_the_plain_difference_is_far_off() -> None:
    shop = made_up(2500, seed=5)
    found = cross_fitted(shop.x, shop.addressed, shop.outcome, shop.household)
    kept = found.overlapping
    effects = doubly_robust(found, shop.addressed, shop.outcome)[kept]
    weights = household_weights(shop.household[kept], 200)
    told = interval_of(float(effects.mean()), weights @ effects / weights.sum(axis=1))
    sent = shop.addressed == 1
    naive = shop.outcome[sent].mean() - shop.outcome[~sent].mean()
    assert told.low <= shop.effect[kept].mean() <= told.high
    assert naive > told.high + 5


def test_too_few_addressed_are_refused() -> None:
    shop = made_up(100, seed=1)
    nobody = np.zeros(100, np.int8)
    with pytest.raises(DataError, match="Too few shoppers were addressed"):
        cross_fitted(shop.x, nobody, shop.outcome, shop.household)
