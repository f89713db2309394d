"""The trends app on a real broker and a real Valkey, restarted once."""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from itertools import permutations
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from command_line import ENDCAP, settings_for

from endcap.catalogue import CatalogueItem, decode_change, encode_item
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.supervised import Child
from endcap.lists import RecommendationList, Shelf
from endcap.serving.redis_store import RedisStore
from endcap.streams.clients import (
    create_topics,
    read_whole,
    started_producer,
    started_transactional_producer,
)
from endcap.streams.item_deltas import ItemDelta, encode_deltas
from endcap.streams.topic_view import catalogue_view
from endcap.streams.trends import TrendsPlace, run_trends
from endcap.topics import Topics, topics_with_prefix
from endcap.trending import HOUR_MS

pytestmark = pytest.mark.integration

NOON_MS = 1_600_000_000_000  # years ago: trends follow the events' time
MILK = CatalogueItem("milk", "Whole milk", "Dairy", "Grocery", 1.19)
BREAD = CatalogueItem("bread", "Rye bread", "Bakery", "Grocery", None)
TEA = CatalogueItem("tea", "Green tea")
GONE = CatalogueItem("gone", "Not on the shelf", in_stock=False)


@pytest.fixture(scope="module")
def servers() -> Iterator[LocalStack]:
    """A stack of its own: nobody else writes `endcap:trending` there."""
    with LocalStack(bootstrap_servers=None, redis_url=None) as running:
        yield running


@asynccontextmanager
async def app_running(
    servers: LocalStack,
    topics: Topics,
    store: RedisStore,
    folder: Path,
    app_id: str,
    extensions: Sequence[str] = (),
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    place = TrendsPlace(servers.bootstrap_servers, topics, folder, app_id, extensions=extensions)
    running = asyncio.create_task(run_trends(place, store, stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)


async def until(
    read: Callable[[], Awaitable[RecommendationList | None]], ids: list[str]
) -> RecommendationList:
    """Poll until the list holds these ids in this order."""
    deadline = time.monotonic() + 60
    ready = None
    while time.monotonic() < deadline:
        ready = await read()
        if ready is not None and [item.id for item in ready.items] == ids:
            return ready
        await asyncio.sleep(0.05)
    raise AssertionError(f"wanted {ids} within 60 s, Redis holds {ready}")


async def test_trends_and_catalogue_reach_redis_and_survive_a_restart(
    servers: LocalStack, tmp_path: Path
) -> None:
    topics = topics_with_prefix(f"t{uuid4().hex[:8]}")
    app_id = f"{topics.events.name}-trends"
    await create_topics(servers.bootstrap_servers, topics, partitions=2)
    store = RedisStore(servers.redis_url)
    producer = await started_producer(servers.bootstrap_servers)

    async def say(*values: bytes) -> None:
        for value in values:
            await producer.send_and_wait(topics.item_deltas.name, value)

    def deltas(*acts: ItemDelta) -> bytes:
        (record,) = encode_deltas(acts)
        return record

    viewed = ItemDelta(0, 5, "view", NOON_MS, ("milk",))
    try:
        for item in (MILK, BREAD, TEA, GONE):
            await producer.send_and_wait(
                topics.catalogue.name, encode_item(item), key=item.item_id.encode()
            )
        await say(
            *[deltas(viewed)] * 5,  # counted once, or milk would come first
            b"not json",
            deltas(
                viewed,
                ItemDelta(0, 6, "purchase", NOON_MS, ("gone",)),
                ItemDelta(0, 7, "view", NOON_MS - 100 * HOUR_MS, ("tea",)),
            ),
            deltas(ItemDelta(1, 0, "cart", NOON_MS, ("bread",))),
        )
        async with app_running(servers, topics, store, tmp_path, app_id):
            first = await until(store.trending, ["bread", "milk", "tea"])
        assert [item.score for item in first.items] == [2.0, 1.0, 1.0]
        assert [item.reason for item in first.items] == [
            "popular right now",
            "popular right now",
            "popular this week",
        ]
        assert first.model == "trending"
        assert await store.items(["milk", "bread", "gone"]) == {
            item.item_id: item for item in (MILK, BREAD, GONE)
        }

        # The next worker knows from the changelogs what was counted, and goes on from there.
        await say(deltas(viewed, ItemDelta(0, 8, "cart", NOON_MS, ("milk",))))
        async with app_running(servers, topics, store, tmp_path, app_id):
            second = await until(store.trending, ["milk", "bread", "tea"])
        assert [item.score for item in second.items] == [3.0, 2.0, 1.0]
        assert second.version > first.version

        # An item that the shop no longer sells leaves the list and Redis.
        await producer.send_and_wait(topics.catalogue.name, None, key=b"bread")
        async with app_running(servers, topics, store, tmp_path, app_id):
            await until(store.trending, ["milk", "tea"])
        assert await store.items(["bread"]) == {}
    finally:
        await producer.stop()
        await store.close()


@pytest.mark.timeout(300)
async def test_everything_is_exact_after_kill_9_in_mid_stream(
    servers: LocalStack, tmp_path: Path
) -> None:
    """Deltas come in transactions, as the session worker writes them; some are aborted first."""
    prefix = f"t{uuid4().hex[:8]}"
    topics = topics_with_prefix(prefix)
    await create_topics(servers.bootstrap_servers, topics, partitions=2)
    store = RedisStore(servers.redis_url)
    producer = await started_transactional_producer(servers.bootstrap_servers, f"{prefix}-deltas")
    shop = Shop(random.Random(5))

    async def send_batch() -> None:
        (record,) = encode_deltas(shop.acts(50))
        if shop.rng.random() < 0.2:  # the worker was fenced, and its successor writes the same
            await producer.begin_transaction()
            await producer.send_and_wait(topics.item_deltas.name, record)
            await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topics.item_deltas.name, record)
            for item in shop.reports():
                await producer.send_and_wait(
                    topics.catalogue.name, encode_item(item), key=item.item_id.encode()
                )

    def start(number: int) -> Child:
        return Child(
            "endcap trends",
            [*ENDCAP, "trends"],
            tmp_path / f"trends-{number}.log",
            os.environ
            | settings_for(servers, prefix)
            | {
                "ENDCAP_DATA_DIR": str(tmp_path),
                # Killed between two checkpoints, and amid them.
                "ENDCAP_TRENDS_CHECKPOINT_S": ("60", "0.1", "1")[number % 3],
            },
        )

    async def shown() -> float:
        ready = await store.trending()
        known = ready.items if ready else ()
        return sum(item.score for item in known if item.id in shop.by_item)

    async def shows(at_least: float) -> float:
        deadline, last = time.monotonic() + 90, await shown()
        while (now := await shown()) < at_least:
            assert now >= last, "a restart showed an earlier state"
            assert time.monotonic() < deadline, f"{now} of {at_least} counted"
            last = now
            await asyncio.sleep(0.02)
        return now

    async def scores(shelf: Shelf) -> dict[str, float]:
        ready = await store.shelf(shelf)
        return {item.id: item.score for item in ready.items} if ready else {}

    async def sold() -> dict[str, CatalogueItem]:
        """As Redis shows them; when a price changed is the broker's to say."""
        items = await store.items(list(shop.sold))
        return {i: msgspec.structs.replace(x, price_changed_ms=None) for i, x in items.items()}

    async def becomes(shelf: Shelf, expected: Mapping[str, float]) -> None:
        deadline = time.monotonic() + 30
        while (now := await scores(shelf)) != expected:
            assert time.monotonic() < deadline, f"{shelf} shows {now}, not {expected}"
            await asyncio.sleep(0.05)

    app = start(0)
    try:
        for kill in range(1, 4):
            before = await shown()
            async with asyncio.TaskGroup() as sending:
                sending.create_task(_each(send_batch for _ in range(30)))
                await shows(before + 1)  # in mid-stream
                app.kill()
            app = start(kill)
        await shows(shop.by_item.total())
        ready = await store.trending()
        assert ready is not None
        assert {item.id: item.score for item in ready.items} == dict(shop.by_item)
        await becomes(Shelf("now"), shop.by_item)
        for category in CATEGORIES:
            of_it = {i: n for i, n in shop.by_item.items() if category_of(i) == category}
            await becomes(Shelf("category", category), of_it)
        for name, weights in shop.by_store.items():
            await becomes(Shelf("store", name), weights)
        for item_id, companions in shop.pairs.items():
            await becomes(Shelf("similar", item_id), companions)
        deadline = time.monotonic() + 30
        while (now := await sold()) != shop.sold:
            assert time.monotonic() < deadline, f"Redis shows {now}, not {shop.sold}"
            await asyncio.sleep(0.05)
        found = [r async for r in read_whole(servers.bootstrap_servers, topics.price_changes.name)]
        told = {record.key: decode_change(record.value) for record in found}
        assert {key: (each.old_price, each.new_price) for key, each in told.items()} == shop.changes
        assert all(decode_change(record.value) == told[record.key] for record in found)
    finally:
        app.stop()
        await producer.stop()
        await store.close()


CATEGORIES = ("Dairy", "Bakery", "Tea")


def category_of(item_id: str) -> str:
    return CATEGORIES[int(item_id[1:]) % len(CATEGORIES)]


class Shop:
    """Random acts and reports of items, and the plain counts that they come to."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.by_item: Counter[str] = Counter()
        self.by_store: dict[str, Counter[str]] = {"north": Counter(), "south": Counter()}
        self.pairs: dict[str, Counter[str]] = {}
        self.sold: dict[str, CatalogueItem] = {}
        self.changes: dict[bytes, tuple[float, float]] = {}
        self._ids = [f"i{n:02}" for n in range(15)]
        self._offset = 0
        self._version = 0

    def acts(self, n: int) -> list[ItemDelta]:
        acts = []
        for _ in range(n):
            kind, weight = self.rng.choice([("view", 1), ("view", 1), ("purchase", 4)])
            at = self.rng.choice(["", *self.by_store])
            item_ids = tuple(self.rng.sample(self._ids, 2))
            when_ms = NOON_MS + self._offset % 1000
            acts.append(ItemDelta(0, self._offset, kind, when_ms, item_ids, at))
            self._offset += 1
            counts = [self.by_item, *([self.by_store[at]] if at else [])]
            for each in counts:
                each.update(dict.fromkeys(item_ids, weight))
            if kind == "purchase":
                for one, other in permutations(item_ids):
                    self.pairs.setdefault(one, Counter())[other] += 1
        return acts

    def reports(self) -> list[CatalogueItem]:
        """Of one item, a newer and then an older version; of the others, at the beginning."""
        first = [self._report(item_id) for item_id in self._ids] if not self.sold else []
        now = self._report(self.rng.choice(self._ids))
        return [*first, now, msgspec.structs.replace(now, price=0.01, version=now.version - 1)]

    def _report(self, item_id: str) -> CatalogueItem:
        self._version += 2
        price = self.rng.randrange(100, 110) / 100
        item = CatalogueItem(item_id, "x", category_of(item_id), "", price, version=self._version)
        was = self.sold.get(item_id)
        if was is not None:
            item = msgspec.structs.replace(item, previous_price=was.previous_price)
            if was.price is not None and was.price != price:
                self.changes[f"{item_id}/{self._version}".encode()] = was.price, price
                item = msgspec.structs.replace(item, previous_price=was.price)
        self.sold[item_id] = item
        return item


async def _each(calls: Iterable[Callable[[], Awaitable[None]]]) -> None:
    for call in calls:
        await call()


async def test_an_older_version_neither_returns_nor_survives_compaction(
    servers: LocalStack, tmp_path: Path
) -> None:
    """The topic's last record of each key is that of the highest version, or a deletion."""
    topics = topics_with_prefix(f"t{uuid4().hex[:8]}")
    await create_topics(servers.bootstrap_servers, topics, partitions=2)
    store = RedisStore(servers.redis_url)
    producer = await started_producer(servers.bootstrap_servers)
    view = catalogue_view(servers.bootstrap_servers, topics)
    name = topics.catalogue.name
    newer = CatalogueItem("rye", "Rye bread", price=2.0, version=9)
    older = CatalogueItem("rye", "Rye bread", price=1.0, version=8)
    last = CatalogueItem("last", "Nothing comes after it")

    async def newest() -> dict[bytes, bytes | None]:
        return {r.key: r.value async for r in read_whole(servers.bootstrap_servers, name)}

    try:
        for item in (newer, older, CatalogueItem("fax", "Fax paper", version=5)):
            await producer.send_and_wait(name, encode_item(item), key=item.item_id.encode())
        await producer.send_and_wait(name, None, key=b"fax")
        for item in (CatalogueItem("fax", "Fax paper", version=4), last):
            await producer.send_and_wait(name, encode_item(item), key=item.item_id.encode())
        await view.start()
        assert view.get("rye") == newer
        assert view.get("fax") is None
        async with app_running(servers, topics, store, tmp_path, f"{topics.events.name}-trends"):
            deadline = time.monotonic() + 60
            wanted = {b"rye": encode_item(newer), b"fax": None, b"last": encode_item(last)}
            while await newest() != wanted:
                assert time.monotonic() < deadline, f"the topic ends with {await newest()}"
                await asyncio.sleep(0.1)
            while await store.items(["last"]) == {}:
                assert time.monotonic() < deadline, "the catalogue did not reach Redis"
                await asyncio.sleep(0.1)
        assert await store.items(["rye", "fax"]) == {"rye": newer}
    finally:
        await view.stop()
        await producer.stop()
        await store.close()


async def test_a_shop_s_own_agent_joins_by_one_line(
    servers: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module is the one that docs/streams.md shows."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "ourshop"))
    topics = topics_with_prefix(f"t{uuid4().hex[:8]}")
    await create_topics(servers.bootstrap_servers, topics, partitions=2)
    store = RedisStore(servers.redis_url)
    producer = await started_producer(servers.bootstrap_servers)
    acts = [
        ItemDelta(0, n, kind, NOON_MS, (item,))
        for n, (kind, item) in enumerate([("view", "milk"), ("cart", "milk"), ("view", "tea")] * 4)
    ]
    counted: dict[bytes, bytes | None] = {}
    try:
        for item in (MILK, TEA):
            await producer.send_and_wait(
                topics.catalogue.name, encode_item(item), key=item.item_id.encode()
            )
        async with app_running(
            servers, topics, store, tmp_path, f"{topics.events.name}-trends", ["ourshop_agents"]
        ):
            deadline = time.monotonic() + 60
            (record,) = encode_deltas(acts)
            await producer.send_and_wait(topics.item_deltas.name, record)
            await producer.send_and_wait(topics.item_deltas.name, record)  # Faust, after a crash
            name = f"{topics.item_deltas.name}-views"
            while counted.get(b"milk") != b"4" or counted.get(b"tea") != b"4":
                assert time.monotonic() < deadline, f"the agent wrote {counted}"
                async for each in read_whole(servers.bootstrap_servers, name):
                    counted[each.key] = each.value
                await asyncio.sleep(0.1)
    finally:
        await producer.stop()
        await store.close()
