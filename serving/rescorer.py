"""The rescorer: newest sessions in, finished lists in Redis out."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from endcap.bundle import Bundle
from endcap.catalogue import CatalogueItem
from endcap.errors import StoreUnavailableError
from endcap.lists import GENERATION, ListItem, RecommendationList
from endcap.policy import Policy, make_slate
from endcap.serving import metrics
from endcap.serving.onnx_session import OnnxScorer
from endcap.sessions import Session
from endcap.timeline import Snapshot, decode_snapshot

log = logging.getLogger(__name__)

MAX_BATCH = 64
MAX_READ = 2000
COMMIT_EVERY_S = 0.25


class Catalogue(Protocol):
    """What the shop sells now: newer than what the bundle was trained with."""

    def get(self, item_id: str, /) -> CatalogueItem | None:
        """The item's facts; None where the shop does not sell it."""
        ...

    def __len__(self) -> int:
        """How many items; 0 where the shop publishes no catalogue."""
        ...


class ListWriter(Protocol):
    """Where finished lists go."""

    async def write_lists(self, lists: Mapping[str, RecommendationList]) -> int:
        """Write all; returns how many were newer than what was held."""
        ...

    async def delete_lists(self, user_ids: Sequence[str]) -> int:
        """Forget lists; returns how many there were."""
        ...


def rescore(
    sessions: Sequence[Session],
    bundle: Bundle,
    scorer: OnnxScorer,
    policy: Policy,
    catalogue: Catalogue | None = None,
    generation: int = 1,
) -> dict[str, RecommendationList]:
    """Lists for sessions, by one call of the graph. Values in, values out.

    A list of a later generation is newer than any of an earlier one, whatever has been folded.
    """
    # "Now" is the session's own newest event: a replay of last year gives last year's lists.
    crowd = bundle.crowd(sessions)
    found = bundle.gatherer.gather(crowd)
    scored = scorer.score(crowd, found)
    generated_at = int(time.time() * 1000)

    def item_at(strange: tuple[str, ...], index: int) -> CatalogueItem:
        trained_with = _trained_with(bundle, strange, index)
        if not catalogue:
            return trained_with
        now = catalogue.get(trained_with.item_id)
        return now or msgspec.structs.replace(trained_with, in_stock=False)

    lists: dict[str, RecommendationList] = {}
    for row, session in enumerate(sessions):
        candidates = found.of(row)
        metrics.CANDIDATES.observe(candidates.ids.size)
        named = partial(item_at, crowd.strange[row])
        items = make_slate(session, candidates, scored.row(row), named, policy, session.updated_ms)
        lists[session.user_id] = RecommendationList(
            (generation - 1) * GENERATION + session.events_folded,
            bundle.manifest.name,
            generated_at,
            items,
        )
    return lists


def _trained_with(bundle: Bundle, strange: tuple[str, ...], index: int) -> CatalogueItem:
    """Of what the model knows nothing of the shopper has named the id."""
    if index <= len(bundle.items):
        return bundle.item(index)
    item_id = strange[index - len(bundle.items) - 1]
    listed = bundle.index_of.get(item_id)
    return bundle.item(listed) if listed else CatalogueItem(item_id, item_id)


def _rescore_snapshots(snapshots: Sequence[Snapshot], *parts: Any) -> dict[str, RecommendationList]:
    """Off the event loop, the fold of each tail included."""
    return rescore([snapshot.session for snapshot in snapshots], *parts)


def popular_list(bundle: Bundle, size: int = 20) -> RecommendationList:
    """What the bundle knows to be popular: the fallback until the stream knows better."""
    items = tuple(
        ListItem(
            bundle.item(int(i)).item_id,
            round(float(bundle.generators.popularity_now[i]), 6),
            "popular right now",
        )
        for i in bundle.generators.popular[:size]
    )
    return RecommendationList(0, bundle.manifest.name, int(time.time() * 1000), items)


class Rescorer:
    """A member of the group that reads sessions. `run()` returns after `stop()`."""

    def __init__(
        self,
        open_sessions: Callable[[], Awaitable[AIOKafkaConsumer]],
        writer: ListWriter,
        bundle: Bundle,
        scorer: OnnxScorer,
        policy: Policy | None = None,
        catalogue: Catalogue | None = None,
        generation: int = 1,
    ) -> None:
        """`open_sessions` gives a started consumer of the sessions topic, in a group, that never
        commits by itself."""
        self._open_sessions = open_sessions
        self._writer = writer
        self._bundle = bundle
        self._scorer = scorer
        self._policy = policy or Policy()
        self._catalogue = catalogue
        self._generation = generation
        self._written: dict[Any, int] = {}
        self._committed_at = time.monotonic()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the batch in hand, then return from `run()`."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped.

        Raises:
            BrokerUnavailableError: no broker answers at the start.
        """
        consumer = await self._open_sessions()
        try:
            while not self._stopping.is_set():
                await self._one_read(consumer)
            await self._commit(consumer)
        finally:
            await consumer.stop()

    async def _one_read(self, consumer: AIOKafkaConsumer) -> None:
        """Read, coalesce, score and write in batches, commit.

        1. Read what is waiting; keep the newest snapshot of each user.
        2. Delete the lists of those whose session has ended.
        3. Score and write batch by batch; inference runs off the event loop.
        4. Now and then commit the offsets of what Redis has answered for. Lists that were written
           since then are written once more after a crash, which changes nothing.
        """
        waiting = await consumer.getmany(timeout_ms=200, max_records=MAX_READ)
        newest, ended = _coalesce(waiting)
        if ended:
            await self._until_it_answers(partial(self._writer.delete_lists, ended))
            metrics.LISTS_DELETED.inc(len(ended))
        users = list(newest.values())
        for start in range(0, len(users), MAX_BATCH):
            await self._serve(users[start : start + MAX_BATCH])
        self._written |= {tp: rows[-1].offset + 1 for tp, rows in waiting.items()}
        if time.monotonic() - self._committed_at > COMMIT_EVERY_S:
            await self._commit(consumer)

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        owned = consumer.assignment()
        offsets = {tp: offset for tp, offset in self._written.items() if tp in owned}
        self._written.clear()
        self._committed_at = time.monotonic()
        if not offsets:
            return
        try:
            await consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError):
            log.warning("partitions were reassigned; their lists may be written once more")
        except KafkaError:
            log.exception("the commit failed; these lists may be written once more")

    async def _serve(self, snapshots: list[Snapshot]) -> None:
        metrics.BATCH.observe(len(snapshots))
        lists = await asyncio.to_thread(
            _rescore_snapshots,
            snapshots,
            self._bundle,
            self._scorer,
            self._policy,
            self._catalogue,
            self._generation,
        )
        written = await self._until_it_answers(partial(self._writer.write_lists, lists))
        metrics.LISTS.labels("written").inc(written)
        metrics.LISTS.labels("older").inc(len(lists) - written)
        now_ms = time.time() * 1000
        for snapshot in snapshots:
            metrics.EVENT_TO_LIST_SECONDS.observe(max(0.0, now_ms - snapshot.arrived_ms) / 1000)

    async def _until_it_answers(self, ask: Callable[[], Awaitable[int]]) -> int:
        pause_s = 0.1
        while True:
            try:
                return await ask()
            except StoreUnavailableError as error:
                # Nothing is committed while Redis is away: the lists wait in Kafka.
                metrics.REDIS_RETRIES.inc()
                log.warning("%s Trying again in %.1f s.", error, pause_s)
                if self._stopping.is_set():
                    raise
                await asyncio.sleep(pause_s)
                pause_s = min(5.0, pause_s * 2)


def _coalesce(waiting: Mapping[Any, list[Any]]) -> tuple[dict[str, Snapshot], list[str]]:
    """The newest snapshot of each user, and those whose session has ended."""
    newest: dict[str, Snapshot] = {}
    ended: list[str] = []
    for records in waiting.values():
        last = {record.key: record for record in records}  # a user's snapshots share a partition
        metrics.COALESCED.inc(len(records) - len(last))
        for key, record in last.items():
            if record.value is not None:
                newest[key.decode()] = decode_snapshot(record.value)
            else:
                ended.append(key.decode())
    return newest, ended
