"""Rules of a running shop: applied once, in force everywhere, and a bad file changes nothing."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from awaited import until
from click.testing import Result
from command_line import settings_for
from event_stream import listening
from own_valkey import OwnValkey
from rescoring import rescoring
from serve_process import ServeProcess
from stream_topics import send_events
from typer.testing import CliRunner

from endcap.bundle import Bundle, load_bundle
from endcap.catalogue import CatalogueItem
from endcap.deploy.cli import app
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.processes import session_worker
from endcap.deploy.rules_watch import RulesFile, RulesInRedis, RulesWatch
from endcap.deploy.settings import DEMO_BUNDLE, Settings
from endcap.errors import EndcapError, StoreUnavailableError
from endcap.events import Event, EventItem, EventType
from endcap.lists import ListItem, RecommendationList
from endcap.serving import rules_metrics as metrics
from endcap.serving.redis_store import RedisStore
from endcap.serving.rules_store import RULES_KEY, RulesStore
from endcap.serving.shop_rules import ShopRules
from endcap.streams.clients import create_topics
from endcap.yaml_lines import FileMistakesError

pytestmark = pytest.mark.integration
BAD = "rules:\n- {name: a, blok: true, where: {item: x}}\n"


class Shop:
    """A server that holds the model, and the store that it alone reads."""

    def __init__(self, stack: LocalStack, folder: Path) -> None:
        prefix = f"t{uuid4().hex[:8]}"
        self.folder = folder
        self.valkey = OwnValkey(folder)
        self.environment = settings_for(stack, prefix) | {
            "ENDCAP_REDIS_URL": self.valkey.url,
            "ENDCAP_HTTP_RESCORE": "true",
            "ENDCAP_DATA_DIR": str(folder),
        }
        self.settings = Settings(
            kafka_bootstrap_servers=stack.bootstrap_servers,
            redis_url=self.valkey.url,
            topic_prefix=prefix,
            data_dir=folder,
            session_store="memory",
            lateness_s=0,
        )
        asyncio.run(create_topics(stack.bootstrap_servers, self.settings.topics, 1))
        self.server = ServeProcess(folder, self.environment)

    def file(self, text: str) -> str:
        path = self.folder / f"{uuid4().hex[:8]}.yaml"
        path.write_text(text)
        return str(path)

    def run(self, *words: str, **environment: str) -> Result:
        return CliRunner().invoke(app, words, env=self.environment | environment)

    def said(self, *words: str) -> Any:
        ended = self.run(*words, "--json")
        assert ended.exit_code == 0, ended.output
        return json.loads(ended.stdout)

    def apply(self, text: str, who: str = "ann") -> Any:
        return self.said("rules", "apply", self.file(text), "--who", who)


@pytest.fixture(scope="module")
def shop(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    running = Shop(stack, tmp_path_factory.mktemp("rules"))
    yield running
    running.server.child.stop()
    running.valkey.stop()


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(DEMO_BUNDLE)


@pytest.fixture
async def store(shop: Shop) -> AsyncIterator[RulesStore]:
    opened = RulesStore(shop.valkey.url)
    yield opened
    await opened.close()


def outcomes(said: str, outcome: str) -> float:
    name = f'endcap_rules_changes_total{{outcome="{outcome}"}}'
    rows = [line.split()[-1] for line in said.splitlines() if line.startswith(name)]
    return float(rows[0]) if rows else 0.0


async def test_a_running_server_follows_rules_and_refuses_a_bad_file(
    shop: Shop, bundle: Bundle, store: RulesStore
) -> None:
    now_ms = int(time.time() * 1000)
    body = {
        "events": [
            {"item_id": bundle.item(n).item_id, "event_name": "view_item", "timestamp_ms": now_ms}
            for n in (3, 40, 500)
        ]
    }
    async with httpx.AsyncClient(base_url=shop.server.url, timeout=30) as client:

        async def listed(placement: str = "default") -> list[str]:
            answer = await client.post("/v1/rescore", json=body | {"placement": placement})
            return [row["id"] for row in answer.json()["items"]]

        before = await listed()
        blocked, wanted = before[0], before[7]
        text = (
            f"rules:\n- {{name: recall, block: true, where: {{item: {blocked}}}}}\n"
            f"- {{name: ours, pin: 1, where: {{item: {wanted}}}, placements: [home]}}\n"
        )
        applied = await asyncio.to_thread(shop.apply, text)
        assert (applied["who"], applied["block"], applied["pin"]) == ("ann", 1, 1)

        async def follows() -> bool:
            return blocked not in await listed()

        await until(follows)
        assert (await listed("home"))[0] == wanted
        assert await listed() == await listed("elsewhere")

        refused = shop.run("rules", "apply", shop.file(BAD), "--who", "bob")
        assert refused.exit_code == 1
        assert "line 2: blok is unknown" in str(refused.exception)
        assert [each.who for each in await store.history(10)] == ["ann"]

        # By hand past the command: every process refuses it again, and keeps what it had.
        await store.apply(BAD, "mallory")

        async def is_refused() -> bool:
            return outcomes((await client.get("/metrics")).text, "refused") > 0

        await until(is_refused)
        assert blocked not in await listed()
        assert "mallory" in shop.server.log.read_text()

        await asyncio.to_thread(shop.apply, "", "carl")

        async def is_lifted() -> bool:
            return await listed() == before

        await until(is_lifted)
    entries = (await asyncio.to_thread(shop.said, "rules", "log"))["entries"]
    assert [entry["who"] for entry in entries] == ["carl", "mallory", "ann"]
    assert entries[2]["text"] == text
    table = await asyncio.to_thread(shop.run, "rules", "log")
    assert "it has mistakes" in table.stderr
    assert (await asyncio.to_thread(shop.said, "rules", "show"))["who"] == "carl"


async def test_what_is_blocked_or_sold_out_leaves_ready_lists_where_http_reads_them(
    shop: Shop,
) -> None:
    lists = RedisStore(shop.valkey.url)
    user = uuid4().hex
    shelf = [("milk", "Dairy", True), ("tea", "Drinks", True), ("gone", "Drinks", False)]
    await lists.write_items([CatalogueItem(i, i, c, in_stock=s) for i, c, s in shelf])
    rows = tuple(ListItem(item, 1.0, "you bought this before") for item, _, _ in shelf)
    await lists.write_lists({user: RecommendationList(1, "m", 1, rows)})
    await lists.write_trending(RecommendationList(0, "m", 1, rows[::-1]))
    async with httpx.AsyncClient(base_url=shop.server.url, timeout=30) as client:

        async def shown(who: str) -> tuple[str, list[str]]:
            answer = (await client.get(f"/v1/recommendations/{who}")).json()
            return answer["source"], [item["id"] for item in answer["items"]]

        assert await shown(user) == ("own", ["milk", "tea"])
        assert await shown("nobody") == ("trending", ["tea", "milk"])
        dairy = "rules:\n- {name: no dairy, block: true, where: {category: Dairy}}"
        await asyncio.to_thread(shop.apply, dairy)

        async def is_gone() -> bool:
            return await shown(user) == ("own", ["tea"])

        await until(is_gone)
        assert await shown("nobody") == ("trending", ["tea"])
        both = "rules:\n- {name: no food, block: true, where: {category: [Dairy, Drinks]}}"
        await asyncio.to_thread(shop.apply, both)

        async def falls_back() -> bool:
            return (await shown(user))[0] == "trending"

        await until(falls_back)
        said = (await client.get("/metrics")).text
        assert 'endcap_rules_taken_out_total{why="blocked"}' in said
        assert 'endcap_rules_taken_out_total{why="sold_out"}' in said
        await asyncio.to_thread(shop.apply, "")

        async def is_back() -> bool:
            return await shown(user) == ("own", ["milk", "tea"])

        await until(is_back)
    held = await lists.read(user)
    assert held is not None
    assert len(held.items) == 3
    await lists.close()


async def test_a_page_that_listens_is_pushed_what_the_rules_of_now_allow(shop: Shop) -> None:
    lists, user = RedisStore(shop.valkey.url), uuid4().hex

    def of(version: int, *items: str) -> RecommendationList:
        return RecommendationList(version, "m", 1, tuple(ListItem(i, 1.0, "why") for i in items))

    await lists.write_trending(of(0, "soap"))
    await lists.write_lists({user: of(1, "tea", "milk")})
    async with (
        httpx.AsyncClient(base_url=shop.server.url) as client,
        listening(client, user) as page,
    ):
        await page.until_shown("tea", "milk")
        no_tea = "rules:\n- {name: no tea, block: true, where: {item: tea}}"
        await asyncio.to_thread(shop.apply, no_tea)
        await page.until_shown("milk")
        await lists.write_lists({user: of(2, "bread", "tea")})
        await page.until_shown("bread")
        await lists.write_lists({user: of(3, "tea")})
        assert (await page.until_shown("soap"))["source"] == "trending"
        await asyncio.to_thread(shop.apply, "")
        assert (await page.until_shown("tea"))["version"] == 3
    await lists.close()


async def test_the_next_list_of_a_shopper_obeys_and_explain_tells_its_whole_path(
    shop: Shop, bundle: Bundle
) -> None:
    user, settings = uuid4().hex, shop.settings
    worker = session_worker(settings)
    lists = RedisStore(shop.valkey.url)
    viewed = [bundle.item(n).item_id for n in (3, 40, 500)]

    def event(number: int) -> Event:
        return Event(
            event_id=f"{user}-{number}",
            user_id=user,
            event_name=EventType.VIEW_ITEM,
            timestamp_ms=int(time.time() * 1000),
            items=(EventItem(viewed[number]),),
        )

    async def made(version: int) -> RecommendationList:
        async def is_there() -> bool:
            ready = await lists.read(user)
            return ready is not None and ready.version == version

        await until(is_there)
        ready = await lists.read(user)
        assert ready is not None
        return ready

    async with rescoring(settings, worker):
        await send_events(settings.broker, settings.topics, [event(0)])
        first = await made(1)
        blocked, low = first.items[0].id, first.items[9].id
        text = (
            f"rules:\n- {{name: recall, block: true, where: {{item: {blocked}}}}}\n"
            f"- {{name: push, boost: 1000, where: {{item: {low}}}}}\n"
        )
        before = metrics.CHANGES.labels("in_force")._value.get()
        await asyncio.to_thread(shop.apply, text, "dora")

        async def is_in_force() -> bool:
            return bool(metrics.CHANGES.labels("in_force")._value.get() > before)

        await until(is_in_force)
        await send_events(settings.broker, settings.topics, [event(1)])
        second = await made(2)
    ids = [item.id for item in second.items]
    assert blocked not in ids
    found = await asyncio.to_thread(shop.said, "explain", user)
    assert [item["id"] for item in found["slate"]] == ids
    assert [item["reason"] for item in found["slate"]] == [item.reason for item in second.items]
    assert found["in_redis"]["differs"]["same"]
    assert "dora" in found["rules"]["said"]
    assert found["session"]["events_folded"] == 2
    assert [past["id"] for past in found["session"]["newest"]] == viewed[1::-1]
    by_id = {item["id"]: item for item in found["candidates"]}
    assert by_id[blocked]["why_not"] == "blocked by recall"
    assert by_id[low]["rules"] == ["push"]
    assert by_id[low]["place"] == ids.index(low) + 1
    assert all(item["sources"] for item in by_id.values())
    assert all(bool(item["place"]) != bool(item["why_not"]) for item in by_id.values())

    await asyncio.to_thread(shop.apply, "", "dora")
    told = await asyncio.to_thread(shop.run, "explain", user)
    assert told.exit_code == 0, told.output
    assert "In Redis: another list" in told.stderr
    assert f"added: {blocked}" in told.stderr
    await lists.close()


@pytest.mark.parametrize(
    ("words", "environment", "says"),
    [
        (["explain", "nobody"], {}, "Nobody is known as nobody"),
        (
            ["explain", "nobody"],
            {"ENDCAP_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"},
            "ENDCAP_KAFKA_BOOTSTRAP_SERVERS",
        ),
        (["rules", "log"], {"ENDCAP_REDIS_URL": "redis://127.0.0.1:1/0"}, "ENDCAP_REDIS_URL"),
        (["rules", "check", "nowhere.yaml"], {}, "nowhere.yaml cannot be read"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(
    shop: Shop, words: list[str], environment: dict[str, str], says: str
) -> None:
    ended = shop.run(*words, **environment)
    assert ended.exit_code == 1
    assert isinstance(ended.exception, EndcapError)
    assert says in str(ended.exception)


def test_check_tells_mistakes_and_names_that_the_bundle_does_not_have(
    shop: Shop, bundle: Bundle
) -> None:
    wrong = shop.run("rules", "check", shop.file(BAD), "--json")
    assert wrong.exit_code == 1
    (mistake, *_) = json.loads(wrong.stdout)["mistakes"]
    assert mistake["line"] == 2
    category = bundle.items[0].category
    text = f"rules:\n- {{name: a, block: true, where: {{category: [{category}, {category}x]}}}}"
    said = shop.said("rules", "check", shop.file(text))
    assert (said["ok"], said["rules"]) == (True, 1)
    assert f"Did you mean {category}?" in said["unknown"][0]["says"]


GOOD = "rules:\n- {name: a, block: true, where: {item: x}}\n"


async def test_a_process_that_starts_takes_the_newest_rules_that_can_be_used(
    tmp_path: Path,
) -> None:
    valkey = OwnValkey(tmp_path)
    rules = RulesStore(valkey.url)
    await rules.apply(GOOD, "ann")
    await rules.apply(BAD, "bob")
    started = ShopRules()
    watch = RulesWatch(RulesInRedis(RulesStore(valkey.url)), started, look_s=0.02)
    await watch.start()
    assert [rule.name for rule in started.rules.rules] == ["a"]
    running = asyncio.create_task(watch.run())
    tried = metrics.RETRIES._value.get()
    valkey.stop()

    async def was_missed() -> bool:
        return bool(metrics.RETRIES._value.get() > tried)

    await until(was_missed)
    with pytest.raises(StoreUnavailableError):
        await rules.newest()
    assert [rule.name for rule in started.rules.rules] == ["a"]
    valkey.start()  # with nothing in it
    await rules.apply(GOOD.replace("name: a", "name: b"), "ann")

    async def is_new() -> bool:
        return [rule.name for rule in started.rules.rules] == ["b"]

    await until(is_new)
    watch.stop()
    await running
    await rules.close()
    valkey.stop()


async def test_a_process_that_met_no_redis_at_its_start_takes_them_from_the_history_later(
    tmp_path: Path,
) -> None:
    valkey = OwnValkey(tmp_path)
    rules, started = RulesStore(valkey.url), ShopRules()
    watch = RulesWatch(RulesInRedis(RulesStore(valkey.url)), started, look_s=0.02)
    valkey.stop()
    await watch.start()
    assert started.rules.says_nothing
    valkey.start()
    await rules.apply(GOOD, "ann")
    await rules.apply(BAD, "bob")
    running = asyncio.create_task(watch.run())

    async def is_in_force() -> bool:
        return [rule.name for rule in started.rules.rules] == ["a"]

    await until(is_in_force, timeout_s=20)
    watch.stop()
    await running
    await rules.close()
    valkey.stop()


async def test_a_file_on_the_machine_is_followed_too_and_must_be_good_at_the_start(
    tmp_path: Path,
) -> None:
    path, shop = tmp_path / "rules.yaml", ShopRules()
    path.write_text(BAD)
    with pytest.raises(FileMistakesError, match="line 2"):
        await RulesWatch(RulesFile(path), shop).start()
    path.write_text(GOOD)
    watch = RulesWatch(RulesFile(path), shop, look_s=0.02)
    await watch.start()
    running = asyncio.create_task(watch.run())
    refused = metrics.CHANGES.labels("refused")._value.get()
    path.write_text(BAD)

    async def is_refused() -> bool:
        return bool(metrics.CHANGES.labels("refused")._value.get() > refused)

    await until(is_refused)
    assert [rule.name for rule in shop.rules.rules] == ["a"]
    path.write_text(GOOD.replace("name: a", "name: changed"))

    async def is_new() -> bool:
        return [rule.name for rule in shop.rules.rules] == ["changed"]

    await until(is_new)
    watch.stop()
    await running


async def test_another_value_under_the_key_is_named(tmp_path: Path) -> None:
    import redis

    valkey = OwnValkey(tmp_path)
    with redis.Redis.from_url(valkey.url) as client:
        client.set(RULES_KEY, "rules: []")
    store = RulesStore(valkey.url)
    with pytest.raises(EndcapError, match="must be a stream"):
        await store.newest()
    await store.close()
    valkey.stop()
