"""Two variants on real servers: lists by variant, impressions and purchases in, a report out."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from awaited import until
from click.testing import Result
from command_line import Ended, endcap, settings_for
from other_bundle import other_bundle
from rescoring import rescoring
from stream_topics import send_events
from typer.testing import CliRunner

from endcap.bundle import load_bundle, read_manifest
from endcap.deploy.cli import app
from endcap.deploy.experiments_file import read_experiments
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.settings import DEMO_BUNDLE, Settings
from endcap.events import Event, EventItem, EventType
from endcap.experiments import HOLDOUT, Found, Impression, ShownAt, encode_impression, variant_of
from endcap.export.measures.impressions import read_impressions
from endcap.lists import RecommendationList
from endcap.serving import metrics
from endcap.serving.calibration import warm_up_sessions
from endcap.serving.redis_store import RedisStore
from endcap.serving.rescorer import popular_list
from endcap.sessions import Session
from endcap.streams.clients import create_topics, started_admin
from endcap.streams.experiment_records import count_experiment
from endcap.timeline import Snapshot, Timeline, encode_snapshot

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

DEMO = read_manifest(DEMO_BUNDLE).name
EXPERIMENTS = """\
experiments:
  - name: summer
    start: 2026-01-01
    end: 2100-01-01
    holdout: 0.2
    variants:
      - {name: control, share: 0.4}
      - name: other-model
        share: 0.4
        model: spring
        explore: {epsilon: 0.5, places: [3, 5]}
  - name: slate
    start: 2026-01-01
    end: 2100-01-01
    variants:
      - {name: twenty, share: 0.5}
      - {name: seven, share: 0.5, policy: {size: 7}}
"""


@cache
def a_session() -> Session:
    return warm_up_sessions(load_bundle(DEMO_BUNDLE))[4]


class TryingShop:
    """A rescorer as its process wires it, with an experiments file of its own."""

    def __init__(self, stack: LocalStack, producer: AIOKafkaProducer, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "experiments.yaml"
        prefix = f"t{uuid4().hex[:8]}"
        self.environment = settings_for(stack, prefix) | {"ENDCAP_DATA_DIR": str(folder)}
        self.rules_file = folder / "rules.yaml"  # of its own: the store is everybody's
        self.rules_file.write_text("")
        self.environment["ENDCAP_RULES_FILE"] = str(self.rules_file)
        self.settings = Settings(
            rules_file=self.rules_file,
            kafka_bootstrap_servers=stack.bootstrap_servers,
            redis_url=stack.redis_url,
            topic_prefix=prefix,
            data_dir=folder,
        )
        self.store = RedisStore(stack.redis_url)
        self._producer = producer

    def rescoring(self) -> AbstractAsyncContextManager[None]:
        return rescoring(self.settings)

    async def lists_of(self, users: list[str], version: int) -> dict[str, RecommendationList]:
        """What the shoppers have once their session has so many events."""
        topic = self.settings.topics.sessions.name
        for user in users:
            session = msgspec.structs.replace(a_session(), user_id=user, events_folded=version)
            raw = encode_snapshot(Snapshot(Timeline(session), 0, version, 0))
            await self._producer.send(topic, raw, user.encode())
        await self._producer.flush()

        async def all_there() -> bool:
            held = await self.store.read_many(users)
            return all(ready is not None and ready.version == version for ready in held)

        await until(all_there, f"version {version} of every list")
        held = await self.store.read_many(users)
        return {user: ready for user, ready in zip(users, held, strict=True) if ready}

    async def send(self, impressions: Iterable[Impression]) -> None:
        topic = self.settings.topics.impressions.name
        for each in impressions:
            await self._producer.send(topic, encode_impression(each), each.user_id.encode())
        await self._producer.flush()

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, words, env=self.environment)

    def explained(self, user: str) -> Any:
        ended = self.run("explain", user, "--json")
        assert ended.exit_code == 0, ended.output
        return json.loads(ended.stdout)

    async def command(self, *words: object) -> Ended:
        return await asyncio.to_thread(
            endcap, "experiment", *words, cwd=self.folder, **self.environment
        )


@pytest.fixture
async def shop(
    stack: LocalStack, producer: AIOKafkaProducer, tmp_path: Path
) -> AsyncIterator[TryingShop]:
    opened = TryingShop(stack, producer, tmp_path)
    await create_topics(stack.bootstrap_servers, opened.settings.topics, 2)
    yield opened
    await opened.store.close()


def shown(user: str, ready: RecommendationList, kind: str = "shown", number: int = 1) -> Impression:
    """What a page sends of the first items of a list."""
    first = ready.items[:5]
    return msgspec.convert(
        {
            "impression_id": f"{user}/{number}",
            "user_id": user,
            "kind": kind,
            "placement": "home",
            "items": [ShownAt(item.id, at) for at, item in enumerate(first, 1)],
            "list_version": ready.version,
            "model": ready.model,
            "variant": ready.variant or None,
            "propensity": [item.propensity for item in first],
            "timestamp_ms": int(time.time() * 1000),
        },
        Impression,
    )


def a_purchase(user: str) -> Event:
    return Event(
        event_id=uuid4().hex,
        user_id=user,
        event_name=EventType.PURCHASE,
        timestamp_ms=int(time.time() * 1000) + 1,
        items=(EventItem("1082185"),),
        transaction_id=uuid4().hex,
    )


async def test_lists_are_made_by_variant_and_the_report_counts_each_beacon_once(
    shop: TryingShop, stack: LocalStack
) -> None:
    other_bundle(shop.folder / "spring", "spring")
    shop.file.write_text(EXPERIMENTS)
    summer, slate = read_experiments(shop.file).experiments
    users = [f"tried-{number}" for number in range(60)]
    trending = popular_list(load_bundle(DEMO_BUNDLE))
    await shop.store.write_trending(trending)
    recalled = trending.items[0].id
    shop.rules_file.write_text(f"rules:\n- {{name: r, block: true, where: {{item: {recalled}}}}}")
    async with shop.rescoring():
        lists = await shop.lists_of(users, 11)
        again = await shop.lists_of(users[:1], 12)

    of = {name: [u for u in users if variant_of(summer, u) == name] for name in summer.shares}
    assert all(of.values())
    for user in of["control"] + of["other-model"]:
        ready, size = lists[user], variant_of(slate, user)
        assert ready.variant == f"summer={variant_of(summer, user)},slate={size}"
        assert len(ready.items) == (7 if size == "seven" else 20)
    assert {lists[user].model for user in of["control"]} == {DEMO}
    assert {lists[user].model for user in of["other-model"]} == {"spring"}
    for user in of[HOLDOUT]:
        assert lists[user].variant == "summer=holdout"
        assert lists[user].items == trending.items[1:]
    # Chance is recorded where it was at work, and only there.
    for user in of["other-model"]:
        chances = [item.propensity for item in lists[user].items]
        assert chances[0] == chances[1] == chances[3] == 1.0
        assert 0 < chances[2] < 1
        assert 0 < chances[4] < 1
    assert {i.propensity for user in of["control"] for i in lists[user].items} == {1.0}
    assert [ready.version for ready in again.values()] == [12]

    # The path of a list is that of the shopper's variants.
    for name, those in of.items():
        user = those[-1]
        path = await asyncio.to_thread(shop.explained, user)
        assert path["in_redis"]["differs"]["same"], name
        assert path["in_redis"]["differs"]["why"] == []
        assert (path["variant"], path["is_held_out"]) == (lists[user].variant, name == HOLDOUT)
        assert path["model"]["name"] == lists[user].model
        assert all(item["title"] for item in path["slate"])
        chances = [item["propensity"] for item in path["slate"]]
        assert chances == [item.propensity for item in lists[user].items]

    said = await asyncio.to_thread(shop.run, "explain", of[HOLDOUT][0])
    assert "Variant: summer=holdout, which gets what trends" in said.stderr

    clicking = {of["control"][0], of["other-model"][0], of["other-model"][1]}
    buying = {of["control"][0], of["other-model"][2]}
    impressions = [shown(user, ready) for user, ready in lists.items()]
    clicks = [shown(user, lists[user], "clicked") for user in clicking]
    # A click may overtake its showing; every beacon comes a second time.
    await shop.send([*clicks, *impressions, *clicks, *impressions])
    topics = shop.settings.topics
    await send_events(stack.bootstrap_servers, topics, [a_purchase(user) for user in buying])

    ended = await shop.command("report", "summer", "--json", "--report", shop.folder / "out")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found == json.loads((shop.folder / "out" / "report.json").read_text())
    told = {
        one["name"]: (one["users"], one["exposures"], one["clicks"], one["buyers"])
        for one in found["variants"]
    }
    n = {name: len(those) for name, those in of.items()}
    assert told == {
        "control": (n["control"], n["control"], 1, 1),
        "other-model": (n["other-model"], n["other-model"], 2, 1),
        "holdout": (n["holdout"], n["holdout"], 0, 0),
    }
    assert found["left_out"] == {"repeated_beacons": len(users) + len(clicking)}
    assert found["sample_ratio"]["is_sound"]
    uplift = found["variants"][1]["uplifts"]["click_through"]
    assert uplift["value"] == pytest.approx(2 / n["other-model"] * n["control"] - 1)
    assert "other-model" in (shop.folder / "out" / "uplift.svg").read_text()

    # What was shown, and how likely it was, for estimates of other rankers.
    ended = await shop.command("impressions", shop.folder / "shown.jsonl", "--json")
    assert ended.returncode == 0, ended.stderr
    rows = read_impressions(shop.folder / "shown.jsonl")
    assert rows.n_lists == len(users)
    assert int(rows.clicked.sum()) == 5 * len(clicking)
    of_user = rows.users[rows.lists] == rows.user_ids.index(of["other-model"][0])
    chances = [item.propensity for item in lists[of["other-model"][0]].items[:5]]
    assert rows.propensities[of_user].tolist() == chances

    # Nothing is kept between two reports: another one counts the same, and knows what is gone.
    async def counted_again() -> Found:
        now_ms = int(time.time() * 1000)
        return await count_experiment(stack.bootstrap_servers, topics, summer, now_ms)

    before = await counted_again()
    assert before.is_whole
    assert before.left_out == found["left_out"]
    admin = await started_admin(stack.bootstrap_servers)
    try:
        first = TopicPartition(topics.impressions.name, 0)
        await admin.delete_records({first: RecordsToDelete(before_offset=1)})
    finally:
        await admin.close()
    assert not (await counted_again()).is_whole


async def test_a_changed_file_is_taken_up_and_a_wrong_one_leaves_the_old_one_in_place(
    shop: TryingShop, caplog: pytest.LogCaptureFixture
) -> None:
    users = [f"changed-{number}" for number in range(8)]

    def changes(outcome: str) -> float:
        return float(metrics.EXPERIMENT_CHANGES.labels(outcome)._value.get())

    async def write(text: str, outcome: str) -> None:
        before = changes(outcome)
        shop.file.write_text(text)

        async def is_seen() -> bool:
            return changes(outcome) > before

        await until(is_seen, outcome)

    only_slate = "experiments:\n" + EXPERIMENTS[EXPERIMENTS.index("  - name: slate") :]
    async with shop.rescoring():
        assert {ready.variant for ready in (await shop.lists_of(users, 1)).values()} == {""}
        await write(only_slate, "followed")
        lists = await shop.lists_of(users, 2)
        assert {ready.variant for ready in lists.values()} == {"slate=twenty", "slate=seven"}
        await write(only_slate.replace("size", "sise"), "refused")
        assert "line 7: sise is no option of the slate" in caplog.text
        await write(EXPERIMENTS, "refused")  # there is no bundle in the folder that it names
        assert "spring" in caplog.text
        lists = await shop.lists_of(users, 3)
        assert {ready.variant for ready in lists.values()} == {"slate=twenty", "slate=seven"}
        await write("", "followed")
        assert {ready.variant for ready in (await shop.lists_of(users, 4)).values()} == {""}
