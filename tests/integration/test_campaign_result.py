"""A sent campaign is read back: made-up purchases whose truth is known, on a real broker."""

import asyncio
import csv
import json
import time
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import pytest
from click.testing import Result
from stream_topics import send_events
from typer.testing import CliRunner

from endcap.deploy.cli import app
from endcap.deploy.local_stack import LocalStack
from endcap.events import Event, EventItem, EventType
from endcap.streams.clients import create_topics
from endcap.streams.contact_records import CampaignRecord, planned_contacts, send_contacts
from endcap.topics import topics_with_prefix

pytestmark = pytest.mark.integration
PLANS = """
campaigns:
- {name: winter, budget: 900, cost: 1, holdout: 0.3, subject: a, body: b}
- {name: quiet, budget: 900, cost: 1, holdout: 0, subject: a, body: b}
per_shopper: 2
"""
TRUTH = {"lapsing": 10.0, "active": 0.0}
SHOPPERS = 300


class Shop(NamedTuple):
    """Topics of its own, and the command line over them."""

    environment: dict[str, str]
    broker: str
    prefix: str

    def says(self, *words: object) -> Result:
        return CliRunner().invoke(app, [str(each) for each in words], env=self.environment)

    def told(self, *words: object) -> Any:
        ended = self.says(*words, "--json")
        assert ended.exit_code == 0, ended.exception
        return json.loads(ended.stdout)

    def refused(self, *words: object) -> str:
        ended = self.says(*words)
        assert ended.exit_code == 1
        return str(ended.exception)


@pytest.fixture
def shop(stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.chdir(tmp_path)
    prefix = f"t{uuid4().hex[:8]}"
    environment = {
        "ENDCAP_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        "ENDCAP_TOPIC_PREFIX": prefix,
    }
    asyncio.run(create_topics(stack.bootstrap_servers, topics_with_prefix(prefix), 2))
    return Shop(environment, stack.bootstrap_servers, prefix)


def test_a_sent_campaign_tells_what_each_segment_was_moved(shop: Shop, tmp_path: Path) -> None:
    assert "plan FILE" in shop.refused("campaign", "result", "winter")
    _plan(shop, tmp_path)
    assert "bought anything since" in shop.refused("campaign", "result", "winter")

    spent = _buy(shop)
    told = shop.told("campaign", "result", "winter", "--report", tmp_path / "out")
    contacts = [each for each in _contacts(shop) if each.campaign == "winter"]
    arms = [
        np.mean([spent[each.user_id] for each in contacts if each.is_held_out is is_held_out])
        for is_held_out in (False, True)
    ]
    assert told["achieved"] == pytest.approx(arms[0] - arms[1], abs=0.01)
    assert told["sample_ratio"]["is_sound"]
    assert told["left_out"] == {"repeated_events": 1}
    rows = {row["segment"]: row for row in told["segments"]}
    for name, truth in TRUTH.items():
        assert rows[name]["expected"] == 9.0
        assert rows[name]["interval"][0] <= truth <= rows[name]["interval"][1]
    assert rows["lapsing"]["interval"][0] > 0
    assert rows["active"]["interval"][1] < 9.0  # the plan expected too much of them
    assert any("days are not over" in each for each in told["warnings"])
    assert json.loads((tmp_path / "out" / "result.json").read_text())["campaign"] == "winter"
    assert "lapsing" in (tmp_path / "out" / "result.svg").read_text()

    goods = tmp_path / "goods.csv"
    goods.write_text("campaign,item_id\nwinter,tea\nquiet,milk\n")
    of_tea = shop.told("campaign", "result", "winter", "--items", goods)
    assert 0 < of_tea["spend"]["held_out"] < told["spend"]["held_out"]

    assert "winter" in shop.refused("campaign", "result", "summer")
    assert "holdout in campaigns.yaml" in shop.refused("campaign", "result", "quiet")
    goods.write_text("item\ntea\n")
    assert "no column item_id" in shop.refused("campaign", "result", "winter", "--items", goods)


def test_contacts_that_were_lost_from_one_arm_raise_the_alarm(shop: Shop) -> None:
    now_ms = int(time.time() * 1000) - 1000
    kept = [
        CampaignRecord(f"s:u{n}", "s", f"u{n}", n < 10, 1.0, 0.5, now_ms, "", 0.3)
        for n in range(200)
    ]
    asyncio.run(send_contacts(shop.broker, topics_with_prefix(shop.prefix), kept))
    _buy(shop)
    told = shop.told("campaign", "result", "s")
    assert not told["sample_ratio"]["is_sound"]
    assert told["warnings"][0].startswith("SAMPLE RATIO MISMATCH")


def _plan(shop: Shop, folder: Path) -> None:
    (folder / "campaigns.yaml").write_text(PLANS)
    with (folder / "candidates.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user_id", "campaign", "uplift", "consent", "contacts", "segment"])
        for campaign in ("winter", "quiet"):
            for n in range(2 * SHOPPERS):
                segment = "lapsing" if n % 2 else "active"
                rows.writerow([f"u{n}", campaign, 9, "true", 0, segment])
    words = ("campaign", "plan", "campaigns.yaml", "--candidates", "candidates.csv", "--send")
    assert shop.told(*words)["sent"] == 4 * SHOPPERS
    assert shop.told(*words)["sent_before"] == 4 * SHOPPERS


def _contacts(shop: Shop) -> list[CampaignRecord]:
    topics = topics_with_prefix(shop.prefix)
    return list(asyncio.run(planned_contacts(shop.broker, topics)).values())


def _buy(shop: Shop) -> dict[str, float]:
    """Who is addressed buys for `TRUTH` more than who is not; returns what each has spent."""
    rng = np.random.default_rng(2)
    now_ms = int(time.time() * 1000)
    spent, events = {}, []
    for each in _contacts(shop):
        if each.campaign == "quiet":
            continue
        more = 0.0 if each.is_held_out else TRUTH.get(each.segment, 0.0)
        tea, milk = (round(float(value), 2) for value in rng.uniform(2, 12, 2))
        spent[each.user_id] = tea + milk + more
        lines = (EventItem("tea", tea), EventItem("milk", round(milk + more, 2)))
        events.append(_bought(each.user_id, now_ms, lines))
    long_ago = _bought("u1", now_ms - 86_400_000, (EventItem("tea", 900.0),))
    stranger = _bought("nobody", now_ms, (EventItem("tea", 900.0),))
    asyncio.run(
        send_events(
            shop.broker,
            topics_with_prefix(shop.prefix),
            [*events, events[0], long_ago, stranger],
        )
    )
    return spent


def _bought(user: str, at_ms: int, lines: tuple[EventItem, ...]) -> Event:
    return Event(
        event_id=uuid4().hex,
        user_id=user,
        event_name=EventType.PURCHASE,
        timestamp_ms=at_ms,
        transaction_id=uuid4().hex,
        items=lines,
    )
