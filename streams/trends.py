"""The item side: what trends and what the catalogue says, as one Faust app.

Both source topics have one partition, so one worker sees all demand. Its tables hold absolute
values; a delta that was counted before is known by its id and skipped. A kill between the two
changelog writes of one delta can count it twice: a ranking bears that, a session would not.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import faust
import msgspec
from prometheus_client import Counter

from endcap.catalogue import CatalogueItem, decode_item
from endcap.errors import StoreUnavailableError
from endcap.lists import ListItem, RecommendationList
from endcap.streams.clients import create_topics
from endcap.streams.item_deltas import ItemDelta, decode_delta
from endcap.topics import Topics
from endcap.trending import WEIGHTS, ItemWindow, add, reason, top, watermark

log = logging.getLogger(__name__)

ITEM_RECORDS = Counter(
    "endcap_item_records_total",
    "Records read by the trends app, by what became of them",
    ["outcome"],
)
TOP_N = 20
FLUSH_S = 1.0
WRITE_BATCH = 200
SESSION_TIMEOUT_S = 6
"""A killed worker's successor waits this long for its partitions; Faust's default is a minute."""


class ItemSink(Protocol):
    """Where the lists go. Streams do not know that it is Redis."""

    async def write_trending(self, ready: RecommendationList) -> None:
        """Replace the list for everybody."""

    async def write_items(self, items: Sequence[CatalogueItem]) -> None:
        """Write items as the shop shows them."""


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
    )

    def source(name: str) -> Any:
        raw = {"key_serializer": "raw", "value_serializer": "raw"}
        return app.topic(name, key_type=bytes, value_type=bytes, partitions=1, **raw)

    seen = app.Table("seen", default=None, partitions=1)
    windows = app.Table("windows", default=None, partitions=1)
    catalogue = app.Table("catalogue", default=None, partitions=1)
    state = _Unwritten(sink)

    @app.agent(source(topics.item_deltas.name), name="item-deltas")  # type: ignore[untyped-decorator]
    async def count(stream: Any) -> None:
        async for raw in stream:
            delta = _delta(raw)
            if delta is None:
                continue
            partition = str(delta.source_partition)
            highest = seen.get(partition)
            if highest is not None and delta.source_offset <= highest:
                ITEM_RECORDS.labels("already_counted").inc()
                continue
            # Each item once: a basket may name the same item on two lines.
            for item_id in {item_id for item_id, _quantity in delta.items}:
                held: ItemWindow = windows.get(item_id) or {}
                windows[item_id] = add(held, delta.timestamp_ms, WEIGHTS[delta.kind])
            seen[partition] = delta.source_offset
            ITEM_RECORDS.labels("counted").inc()

    @app.agent(source(topics.catalogue.name), name="catalogue")  # type: ignore[untyped-decorator]
    async def keep(stream: Any) -> None:
        async for raw in stream:
            item = _item(raw)
            if item is None:
                continue
            catalogue[item.item_id] = msgspec.structs.asdict(item)
            state.items[item.item_id] = item
            ITEM_RECORDS.labels("item").inc()

    @app.timer(FLUSH_S)  # type: ignore[untyped-decorator]
    async def flush() -> None:
        await state.flush(dict(seen.items()), dict(windows.items()), dict(catalogue.items()))

    return app


class _Unwritten:
    """What the sink does not have yet. It is lost in a crash, so the first flush writes all."""

    def __init__(self, sink: ItemSink) -> None:
        self.items: dict[str, CatalogueItem] = {}
        self._sink = sink
        self._first = True
        self._written: tuple[ListItem, ...] = ()

    async def flush(
        self,
        seen: dict[str, int],
        windows: dict[str, ItemWindow],
        catalogue: dict[str, dict[str, Any]],
    ) -> None:
        """Write items, then the trending list where it changed; a sink away is tried again."""
        if self._first:
            known = {key: msgspec.convert(row, CatalogueItem) for key, row in catalogue.items()}
            self.items = {**known, **self.items}
            self._first = False
        try:
            while batch := list(self.items.values())[:WRITE_BATCH]:
                await self._sink.write_items(batch)
                for item in batch:
                    if self.items.get(item.item_id) is item:  # else a newer one came meanwhile
                        del self.items[item.item_id]
            await self._write_trending(seen, windows, catalogue)
        except StoreUnavailableError as error:
            log.warning("trends are kept until the store is back: %s", error)

    async def _write_trending(
        self,
        seen: dict[str, int],
        windows: dict[str, ItemWindow],
        catalogue: dict[str, dict[str, Any]],
    ) -> None:
        on_sale = {
            item_id: window
            for item_id, window in windows.items()
            if catalogue.get(item_id, {}).get("in_stock", True)
        }
        until = watermark(windows.values())
        items = tuple(
            ListItem(item_id, float(score), reason(on_sale[item_id], until))
            for item_id, score in top(on_sale, until, TOP_N)
        )
        if not items or items == self._written:
            return
        # Offsets only grow, and so does their sum, over a restart too.
        version = sum(offset + 1 for offset in seen.values())
        ready = RecommendationList(version, "trending", int(time.time() * 1000), items)
        await self._sink.write_trending(ready)
        self._written = items


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


def _delta(raw: bytes | None) -> ItemDelta | None:
    try:
        delta = decode_delta(raw or b"")
    except msgspec.MsgspecError as error:
        _malformed("item delta", error)
        return None
    if delta.kind not in WEIGHTS:
        _malformed("item delta", f"kind {delta.kind!r}")
        return None
    return delta


def _item(raw: bytes | None) -> CatalogueItem | None:
    if raw is None:
        ITEM_RECORDS.labels("tombstone").inc()  # what a delisted item's list shows stays readable
        return None
    try:
        return decode_item(raw)
    except msgspec.MsgspecError as error:
        _malformed("catalogue item", error)
        return None


def _malformed(what: str, why: object) -> None:
    ITEM_RECORDS.labels("malformed").inc()
    log.warning("skipped a malformed %s: %s", what, why)
