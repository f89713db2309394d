"""The item side as one Faust app: demand, the catalogue, and a shop's own agents beside them.

The source topics have one partition each, so one worker sees all demand. Faust delivers at least
once and would double a count that is incremented: its tables hold absolute values here, each with
the offsets that are in it.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import faust
import msgspec
from faust.types import TP

from endcap.catalogue import (
    CatalogueItem,
    Publication,
    change_key,
    decode_item,
    encode_change,
    encode_item,
)
from endcap.errors import EndcapError
from endcap.streams.clients import create_topics
from endcap.streams.demand import Demand, DemandSettings
from endcap.streams.item_deltas import ItemDelta, decode_deltas
from endcap.streams.item_lists import ItemLists, ItemSink
from endcap.streams.item_metrics import ITEM_RECORDS, PRICE_CHANGES
from endcap.streams.shop_catalogue import ShopCatalogue
from endcap.streams.trends_extensions import Register, load_extensions
from endcap.topics import Topics
from endcap.trending import WEIGHTS

log = logging.getLogger(__name__)

FLUSH_S = 1.0
ROWS_AT_ONCE = 500
LINGER_S = 0.1
"""A table's changelog goes out in few large requests; nobody waits for it."""
SESSION_TIMEOUT_S = 6
"""A killed worker's successor waits this long for its partitions; Faust's default is a minute."""
CATCH_UP_S = 30.0
"""Lists wait at most this long for what was counted before a crash to be counted again."""


class FrozenError(EndcapError):
    """This process stood still for so long that another may have taken its place."""


class TrendsPlace(NamedTuple):
    """Where the app works, and on what terms."""

    bootstrap_servers: str
    topics: Topics
    data_dir: Path
    app_id: str = "endcap-trends"
    partitions: int = 8
    """Of topics that are missing."""
    demand: DemandSettings = DemandSettings()
    checkpoint_s: float = 5.0
    """How often counts are kept, and so how much is read again after a crash. A record is kept once
    for all that happened to it in between."""
    extensions: Sequence[str] = ()


async def run_trends(place: TrendsPlace, sink: ItemSink, stop: asyncio.Event) -> None:
    """Work until `stop` is set.

    1. Load the extensions: what is wrong with them is said before anything starts.
    2. Create the topics that are missing: Faust must not find them absent (PartitionsMismatch).
    3. Start the app in this loop, without faust.Worker, which takes signals and port 6066.
    4. Wait for `stop`, or for a crash of the app, and stop it.

    Raises:
        SettingsError: an extension cannot be loaded.
        BrokerUnavailableError: no broker answers at the start.
        Exception: what Faust crashed of, for a supervisor to start the process again.
    """
    extensions = load_extensions(place.extensions)
    await create_topics(place.bootstrap_servers, place.topics, place.partitions)
    app = build_app(place, sink, extensions)
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


def build_app(place: TrendsPlace, sink: ItemSink, extensions: Sequence[Register] = ()) -> Any:
    """The Faust app. The source topics must exist when it starts (see `run_trends`)."""
    app = _new_app(place)
    demand, catalogue = Demand(place.demand), ShopCatalogue()
    lists = ItemLists(sink, demand, catalogue)
    counting = _count(app, place, demand)
    _keep_catalogue(app, place.topics, catalogue)

    @app.timer(FLUSH_S)  # type: ignore[untyped-decorator]
    async def flush() -> None:
        if await counting.caught_up():
            await lists.flush()
            demand.report()
            catalogue.report()

    for register in extensions:
        register(app, place.topics)
    return app


class Counting:
    """Deltas counted in memory and not kept yet; Kafka is told of them when they are."""

    def __init__(self, app: Any, deltas: TP, demand: Demand, every_s: float) -> None:
        self._app = app
        self._deltas = deltas
        self._demand = demand
        self._every_s = every_s
        self._buckets = _table(app, "trending-buckets")
        self._companions = _table(app, "co-purchases")
        self._unkept: list[Any] = []
        self._ticked_at: float | None = None
        self._restored_at: float | None = None
        self._target: int | None = None
        self._caught_up = False
        # Faust calls it when all tables are back.
        self._companions.on_recover(self._restore)
        app.on_partitions_revoked.connect(self._lose)

    def count(self, event: Any) -> None:
        """Count a record once; it stays unacknowledged until the next checkpoint."""
        self._demand.count(_deltas(event.value))
        self._unkept.append(event)

    async def checkpoint(self) -> None:
        """Keep what was counted.

        1. Make sure that this process did not stand still: another would own the counts by now.
        2. Write every record that changed; each holds the offsets that are in it.
        3. Acknowledge the deltas: Faust commits them after it has flushed what 2. wrote.

        Raises:
            FrozenError: it did stand still.
        """
        now_s = time.monotonic()
        last_s, self._ticked_at = self._ticked_at or now_s - self._every_s, now_s
        if self._restored_at is None:
            return
        stood_still_s = now_s - last_s - self._every_s
        if stood_still_s > SESSION_TIMEOUT_S:
            raise FrozenError(
                f"This process stood still for {stood_still_s:.0f} s and may have been replaced. "
                "It ends without writing; start it again."
            )
        events, self._unkept = self._unkept, []
        buckets, companions = self._demand.take_unkept()
        for table, rows in ((self._buckets, buckets), (self._companions, companions)):
            for number, (key, value) in enumerate(rows):
                if value is not None:
                    table[key] = value
                elif key in table:
                    table.pop(key)
                if number % ROWS_AT_ONCE == ROWS_AT_ONCE - 1:
                    await asyncio.sleep(0)
        for event in events:
            event.ack()

    async def caught_up(self) -> bool:
        """Whether everything is counted again that was counted before a restart.

        Until then a list would go back to an earlier state.
        """
        if self._caught_up or self._restored_at is None:
            return self._caught_up
        if time.monotonic() - self._restored_at > CATCH_UP_S:
            self._caught_up = True
            return True
        consumer = self._app.consumer
        if self._deltas not in consumer.assignment():
            return False
        if self._target is None:
            ends = await consumer.highwaters(self._deltas)
            self._target = ends.get(self._deltas)
        position = await consumer.position(self._deltas)
        if self._target is not None and position is not None and position >= self._target:
            # What was fetched may still be on its way to the agent: one flush later it is there.
            self._caught_up = True
        return False

    async def _lose(self, *_: Any, **__: Any) -> None:
        # What was held before a rebalance is read again: its acknowledgement would skip it.
        self._unkept, self._restored_at = [], None

    async def _restore(self) -> None:
        self._demand.restore(dict(self._buckets.items()), dict(self._companions.items()))
        self._restored_at, self._target, self._caught_up = time.monotonic(), None, False


def _new_app(place: TrendsPlace) -> Any:
    # Imports of faust set no level, and at info it prints tables at every rebalance.
    for name in ("faust", "mode"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns for every hundred changelog records in flight: its way of waiting, not a fault.
    logging.getLogger("faust.transport.producer").setLevel(logging.ERROR)
    return faust.App(
        place.app_id,
        broker=[f"kafka://{server}" for server in place.bootstrap_servers.split(",")],
        store="memory://",
        datadir=str(place.data_dir),
        topic_partitions=1,
        topic_replication_factor=1,
        topic_allow_declare=True,
        topic_disable_leader=True,
        web_enabled=False,
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=SESSION_TIMEOUT_S / 3,
        consumer_auto_offset_reset="earliest",
        producer_linger=LINGER_S,
        # It would wait at each rebalance for what only a checkpoint acknowledges.
        stream_wait_empty=False,
    )


def _count(app: Any, place: TrendsPlace, demand: Demand) -> Counting:
    deltas = place.topics.item_deltas.name
    counting = Counting(app, TP(deltas, 0), demand, place.checkpoint_s)

    @app.agent(_source(app, deltas), name="item-deltas")  # type: ignore[untyped-decorator]
    async def count(stream: Any) -> None:
        async for event in stream.noack().events():
            counting.count(event)

    @app.timer(place.checkpoint_s)  # type: ignore[untyped-decorator]
    async def checkpoint() -> None:
        await counting.checkpoint()

    return counting


def _keep_catalogue(app: Any, topics: Topics, catalogue: ShopCatalogue) -> None:
    rows = _table(app, "catalogue-items")

    @rows.on_recover  # type: ignore[untyped-decorator]
    async def restore() -> None:
        catalogue.restore(dict(rows.items()))

    @app.agent(_source(app, topics.catalogue.name), name="catalogue")  # type: ignore[untyped-decorator]
    async def keep(stream: Any) -> None:
        """For each report of an item, in this order:

        1. Write its price change: a crash after it writes the same record again.
        2. Hold the item, and keep it in the table.
        3. Where an older version came, put the newer one behind it: compaction keeps the last.
        """
        async for event in stream.events():
            item_id = (event.key or b"").decode()
            at = Publication(event.message.offset, int(event.message.timestamp * 1000))
            if event.value is None:
                held = catalogue.remove(item_id, at)
            elif (said := _item(event.value, item_id)) is None:
                continue
            else:
                taken = catalogue.take(said, at)
                if taken.change is not None:
                    key = change_key(taken.change, at)
                    await app.producer.send_and_wait(
                        topics.price_changes.name, key, encode_change(taken.change), 0, None, None
                    )
                    PRICE_CHANGES.inc()
                if taken.outcome == "older_version":
                    now = taken.held.item if taken.held else None
                    raw = None if now is None else encode_item(now)
                    await app.producer.send_and_wait(
                        topics.catalogue.name, event.key, raw, 0, None, None
                    )
                held = taken.held
            value = catalogue.keep(item_id, held)
            key = item_id.encode()
            if value is None:
                rows.pop(key, None)
            elif rows.get(key) != value:
                rows[key] = value


def _table(app: Any, name: str) -> Any:
    """A table of bytes, which may be written from a timer as well as by an agent."""
    table = app.Table(name, default=None, key_type=bytes, value_type=bytes, partitions=1)
    table.key_serializer = table.value_serializer = "raw"
    # Its own way refuses a timer, and `use_partitioner` looks up all topics for each row.
    table.partition_for_key = lambda _: 0
    return table


def _source(app: Any, name: str) -> Any:
    raw = {"key_serializer": "raw", "value_serializer": "raw"}
    return app.topic(name, key_type=bytes, value_type=bytes, partitions=1, **raw)


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


def _item(raw: bytes, item_id: str) -> CatalogueItem | None:
    try:
        item = decode_item(raw)
    except msgspec.MsgspecError as error:
        _malformed("catalogue item", error)
        return None
    if item.item_id != item_id:
        _malformed("catalogue item", "its key is not its item_id")
        return None
    return item


def _malformed(what: str, why: object) -> None:
    ITEM_RECORDS.labels("malformed").inc()
    log.warning("skipped a malformed %s: %s", what, why)
