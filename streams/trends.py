"""The item side as one Faust app: demand, the catalogue, and a shop's own agents beside them.

The source topics have one partition each, so one worker sees all demand. Faust delivers at least
once and would double a count that is incremented: its tables hold absolute values here, each with
the offsets that are in it.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import faust
import msgspec
from faust.auth import SASLCredentials, SSLCredentials
from faust.types import TP

from endcap.catalogue import (
    CatalogueItem,
    Publication,
    change_key,
    decode_item,
    encode_change,
    encode_item,
)
from endcap.messages import ENGLISH, Messages
from endcap.streams.checkpoints import SESSION_TIMEOUT_S, Checkpoints, KeptTable
from endcap.streams.clients import create_topics
from endcap.streams.demand import Demand, DemandSettings, Rows
from endcap.streams.item_deltas import ItemDelta, decode_deltas
from endcap.streams.item_lists import ItemLists, ItemSink
from endcap.streams.item_metrics import ITEM_RECORDS, PRICE_CHANGES
from endcap.streams.kafka_security import KafkaSecurity, security_of
from endcap.streams.shop_catalogue import ShopCatalogue
from endcap.streams.trends_extensions import Register, load_extensions
from endcap.topics import Topics
from endcap.trending import WEIGHTS

log = logging.getLogger(__name__)

FLUSH_S = 1.0
LINGER_S = 0.1
"""A table's changelog goes out in few large requests; nobody waits for it."""


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
    messages: Messages = ENGLISH
    """The words of reasons."""


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
    place.data_dir.mkdir(parents=True, exist_ok=True)  # Faust makes the last folder alone
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
    lists = ItemLists(sink, demand, catalogue, place.messages)
    buckets = KeptTable(app, "trending-buckets")
    companions = KeptTable(app, "co-purchases")
    items = KeptTable(app, "catalogue-items")

    def unkept() -> list[tuple[KeptTable, Rows]]:
        of_buckets, of_companions = demand.take_unkept()
        return [
            (buckets, of_buckets),
            (companions, of_companions),
            (items, catalogue.take_unkept()),
        ]

    deltas, published = place.topics.item_deltas.name, place.topics.catalogue.name
    checkpoints = Checkpoints(app, [TP(deltas, 0), TP(published, 0)], place.checkpoint_s, unkept)
    _count(app, deltas, demand, checkpoints)
    _follow_catalogue(app, place.topics, catalogue, checkpoints)

    @items.table.on_recover  # type: ignore[untyped-decorator]
    async def restore() -> None:
        """Faust calls it when all tables are back."""
        demand.restore(buckets.rows(), companions.rows())
        catalogue.restore(items.rows())
        checkpoints.restored()

    @app.timer(place.checkpoint_s)  # type: ignore[untyped-decorator]
    async def keep() -> None:
        await checkpoints.keep()

    @app.timer(FLUSH_S)  # type: ignore[untyped-decorator]
    async def flush() -> None:
        if await checkpoints.caught_up():
            await lists.flush()
            demand.report()
            catalogue.report()

    for register in extensions:
        register(app, place.topics)
    return app


def _new_app(place: TrendsPlace) -> Any:
    # Imports of faust set no level, and at info it prints tables at every rebalance.
    for name in ("faust", "mode"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns for every hundred changelog records in flight: its way of waiting, not a fault.
    logging.getLogger("faust.transport.producer").setLevel(logging.ERROR)
    return faust.App(
        place.app_id,
        broker=[f"kafka://{server}" for server in place.bootstrap_servers.split(",")],
        broker_credentials=_credentials(security_of(place.bootstrap_servers)),
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


def _credentials(security: KafkaSecurity) -> Any:
    """As Faust takes them."""
    if security.has_sasl:
        return SASLCredentials(
            username=security.username,
            password=security.password,
            mechanism=security.mechanism,
            ssl_context=security.context(),
        )
    return SSLCredentials(security.context()) if security.has_tls else None


def _count(app: Any, name: str, demand: Demand, checkpoints: Checkpoints) -> None:
    @app.agent(_source(app, name), name="item-deltas")  # type: ignore[untyped-decorator]
    async def count(stream: Any) -> None:
        async for event in stream.noack().events():
            demand.count(_deltas(event.value))
            checkpoints.hold(event)


def _follow_catalogue(
    app: Any, topics: Topics, catalogue: ShopCatalogue, checkpoints: Checkpoints
) -> None:
    @app.agent(_source(app, topics.catalogue.name), name="catalogue")  # type: ignore[untyped-decorator]
    async def follow(stream: Any) -> None:
        """Each report of an item. Its price change is with the broker before the item is kept: a
        crash in between writes the same record again.

        Where an older version came, the newer one goes behind it: compaction keeps the last.
        """
        async for event in stream.noack().events():
            try:
                item_id = (event.key or b"").decode()
            except UnicodeDecodeError as error:
                _malformed("key of the catalogue", error)
                checkpoints.hold(event)
                continue
            at = Publication(event.message.offset, int(event.message.timestamp * 1000))
            said = None if event.value is None else _item(event.value, item_id)
            if event.value is None:
                catalogue.remove(item_id, at)
            elif said is not None:
                taken = catalogue.take(said, at)
                if taken.change is not None:
                    key = change_key(taken.change, at)
                    checkpoints.send(topics.price_changes.name, key, encode_change(taken.change))
                    PRICE_CHANGES.inc()
                if taken.outcome == "older_version":
                    now = catalogue.get(item_id)
                    raw = None if now is None else encode_item(now)
                    checkpoints.send(topics.catalogue.name, event.key, raw)
            checkpoints.hold(event)


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
