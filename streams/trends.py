"""The item side: what trends and what the catalogue says, as one Faust app.

Both source topics have one partition, so one worker sees all demand. Its tables hold absolute
values: a count carries the offsets that it holds, in the same record, so that a delta read again
after a crash changes nothing (Faust itself delivers at least once).
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import faust
import msgspec
from prometheus_client import Counter

from endcap.catalogue import CatalogueItem, decode_item
from endcap.errors import StoreUnavailableError
from endcap.lists import ListItem, RecommendationList
from endcap.streams.clients import create_topics
from endcap.streams.item_deltas import ItemDelta, decode_deltas
from endcap.topics import Topics
from endcap.trending import HOUR_MS, WEIGHTS, Bucket, BucketKey, TrendingWindow

log = logging.getLogger(__name__)

ITEM_RECORDS = Counter(
    "endcap_item_records_total",
    "What the trends app read, by what became of it",
    ["outcome"],
)
TOP_N = 20
FLUSH_S = 1.0
WRITE_BATCH = 200
LINGER_S = 0.1
"""A table's changelog goes out in few large requests; nobody waits for it."""
SESSION_TIMEOUT_S = 6
"""A killed worker's successor waits this long for its partitions; Faust's default is a minute."""


class ItemSink(Protocol):
    """Where the lists go. Streams do not know that it is Redis."""

    async def write_trending(self, ready: RecommendationList) -> None:
        """Replace the list for everybody."""

    async def write_items(self, items: Sequence[CatalogueItem]) -> None:
        """Write items as the shop shows them."""

    async def delete_items(self, ids: Sequence[str]) -> None:
        """Forget items that the shop no longer sells."""


def build_app(
    bootstrap_servers: str,
    topics: Topics,
    sink: ItemSink,
    data_dir: Path,
    app_id: str = "endcap-trends",
) -> Any:
    """The Faust app. The source topics must exist when it starts (see `run_trends`)."""
    # Imports of faust set no level, and at info it prints tables at every rebalance.
    for name in ("faust", "mode"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns for every hundred changelog records in flight: its way of waiting, not a fault.
    logging.getLogger("faust.transport.producer").setLevel(logging.ERROR)
    app = faust.App(
        app_id,
        broker=[f"kafka://{server}" for server in bootstrap_servers.split(",")],
        store="memory://",
        datadir=str(data_dir),
        topic_partitions=1,
        topic_replication_factor=1,
        topic_allow_declare=True,
        topic_disable_leader=True,
        web_enabled=False,
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=SESSION_TIMEOUT_S / 3,
        consumer_auto_offset_reset="earliest",
        producer_linger=LINGER_S,
    )

    def source(name: str) -> Any:
        raw = {"key_serializer": "raw", "value_serializer": "raw"}
        return app.topic(name, key_type=bytes, value_type=bytes, partitions=1, **raw)

    counts = app.Table("counts", default=None, partitions=1)
    catalogue = app.Table("catalogue", default=None, partitions=1)
    side = ItemSide(sink)

    async def recovered() -> None:
        side.restore(dict(counts.items()), dict(catalogue.items()))

    counts.on_recover(recovered)  # Faust calls it when all tables are back

    @app.agent(source(topics.item_deltas.name), name="item-deltas")  # type: ignore[untyped-decorator]
    async def count(stream: Any) -> None:
        async for raw in stream:
            for (hour, item_id), bucket in side.count(_deltas(raw)).items():
                counts[f"{hour}:{item_id}"] = bucket
            for hour, item_id in side.window.expire():
                counts.pop(f"{hour}:{item_id}", None)

    @app.agent(source(topics.catalogue.name), name="catalogue")  # type: ignore[untyped-decorator]
    async def keep(stream: Any) -> None:
        async for key, raw in stream.items():
            item_id = (key or b"").decode()
            if raw is None:
                side.remove(item_id)
                catalogue.pop(item_id, None)
                continue
            item = _item(raw)
            if item is not None:
                side.keep(item)
                catalogue[item.item_id] = msgspec.structs.asdict(item)

    @app.timer(FLUSH_S)  # type: ignore[untyped-decorator]
    async def flush() -> None:
        await side.flush()

    return app


class ItemSide:
    """The window and the catalogue in memory, and what the sink does not have of them yet."""

    def __init__(self, sink: ItemSink) -> None:
        self.window = TrendingWindow()
        self._sink = sink
        self._catalogue: dict[str, CatalogueItem] = {}
        self._unwritten: dict[str, CatalogueItem | None] = {}
        """Items to write, and None for those to delete. Lost in a crash: `restore` writes all."""
        self._written: tuple[ListItem, ...] = ()

    def restore(self, counts: dict[str, Any], catalogue: dict[str, Any]) -> None:
        """Start from what the tables hold."""
        self.window = TrendingWindow()
        for key, (weight, counted) in counts.items():
            hour, item_id = key.split(":", 1)
            self.window.put((int(hour), item_id), Bucket(weight, counted))
        self._catalogue = {k: msgspec.convert(row, CatalogueItem) for k, row in catalogue.items()}
        self._unwritten = {**self._catalogue, **self._unwritten}

    def count(self, deltas: Iterable[ItemDelta]) -> dict[BucketKey, Bucket]:
        """Count each delta once; returns the buckets that changed."""
        changed: dict[BucketKey, Bucket] = {}
        for delta in deltas:
            hour, weight = delta.timestamp_ms // HOUR_MS, WEIGHTS[delta.kind]
            outcome = "already_counted"
            # Each item once: a basket may name the same item on two lines.
            for item_id in set(delta.item_ids):
                held = self.window.get((hour, item_id))
                after = held.plus(weight, delta.source_partition, delta.source_offset)
                if after is not held and self.window.put((hour, item_id), after):
                    changed[hour, item_id] = after
                    outcome = "counted"
            ITEM_RECORDS.labels(outcome).inc()
        return changed

    def keep(self, item: CatalogueItem) -> None:
        """The newest facts of an item."""
        self._catalogue[item.item_id] = self._unwritten[item.item_id] = item
        ITEM_RECORDS.labels("item").inc()

    def remove(self, item_id: str) -> None:
        """An item that the shop no longer sells."""
        self._catalogue.pop(item_id, None)
        self._unwritten[item_id] = None
        ITEM_RECORDS.labels("removed").inc()

    async def flush(self) -> None:
        """Write items, then the trending list where it changed; a sink away is tried again."""
        try:
            while batch := dict(list(self._unwritten.items())[:WRITE_BATCH]):
                await self._sink.write_items([item for item in batch.values() if item])
                await self._sink.delete_items([i for i, item in batch.items() if not item])
                for item_id, item in batch.items():
                    if self._unwritten.get(item_id, item) is item:  # else a newer one came
                        self._unwritten.pop(item_id, None)
            await self._write_trending()
        except StoreUnavailableError as error:
            log.warning("trends are kept until the store is back: %s", error)

    async def _write_trending(self) -> None:
        best = self.window.top(TOP_N, self._may_show)
        items = tuple(ListItem(i, float(w), self.window.reason(i)) for i, w in best)
        if not items or items == self._written:
            return
        now_ms = int(time.time() * 1000)
        await self._sink.write_trending(RecommendationList(now_ms, "trending", now_ms, items))
        self._written = items

    def _may_show(self, item_id: str) -> bool:
        """In the catalogue and in stock; any item where the shop publishes no catalogue."""
        known = self._catalogue.get(item_id)
        return known.in_stock if known else not self._catalogue


async def run_trends(
    bootstrap_servers: str,
    topics: Topics,
    sink: ItemSink,
    data_dir: Path,
    stop: asyncio.Event,
    app_id: str = "endcap-trends",
    partitions: int = 8,
) -> None:
    """Work until `stop` is set.

    1. Create the topics that are missing: Faust must not find them absent (PartitionsMismatch).
    2. Start the app in this loop, without faust.Worker, which takes signals and port 6066.
    3. Wait for `stop`, or for a crash of the app, and stop it.

    Raises:
        BrokerUnavailableError: no broker answers at the start.
        Exception: what Faust crashed of, for a supervisor to start the process again.
    """
    await create_topics(bootstrap_servers, topics, partitions)
    app = build_app(bootstrap_servers, topics, sink, data_dir, app_id)
    app.finalize()
    stopped = asyncio.ensure_future(stop.wait())
    running = asyncio.ensure_future(_started(app))
    try:
        await asyncio.wait({stopped, running}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        for task in (stopped, running):
            task.cancel()
        await asyncio.gather(stopped, running, return_exceptions=True)
        await app.stop()


async def _started(app: Any) -> None:
    await app.start()
    await app.wait_until_stopped()
    if app.crash_reason is not None:
        raise app.crash_reason


def _deltas(raw: bytes | None) -> tuple[ItemDelta, ...]:
    try:
        deltas = decode_deltas(raw or b"")
    except msgspec.MsgspecError as error:
        _malformed("record of item deltas", error)
        return ()
    unknown = {delta.kind for delta in deltas} - WEIGHTS.keys()
    if unknown:
        _malformed("item delta", f"kind {', '.join(sorted(unknown))}")
    return tuple(delta for delta in deltas if delta.kind in WEIGHTS)


def _item(raw: bytes) -> CatalogueItem | None:
    try:
        return decode_item(raw)
    except msgspec.MsgspecError as error:
        _malformed("catalogue item", error)
        return None


def _malformed(what: str, why: object) -> None:
    ITEM_RECORDS.labels("malformed").inc()
    log.warning("skipped a malformed %s: %s", what, why)
