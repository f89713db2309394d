"""The rescorer: newest sessions in, finished lists in Redis out.

A reader, a scorer and a writer work side by side (docs/decisions/0021): one batch is scored, off
the event loop, while the last one is written and the next one forms.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer

from endcap.bundle import Bundle
from endcap.errors import StoreUnavailableError
from endcap.lists import ListItem, RecommendationList
from endcap.messages import ENGLISH, Messages
from endcap.policy import Policy
from endcap.serving import metrics
from endcap.serving.input_watch import INPUTS
from endcap.serving.list_making import Catalogue, make_lists
from endcap.serving.model_slot import Model, ModelSlot
from endcap.serving.online_quality import OnlineQuality
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.sessions_reader import SessionsReader
from endcap.serving.shadow import LEISURE_S, REST, ShadowTrials
from endcap.serving.shop_rules import ShopRules
from endcap.serving.snapshots import read_snapshots
from endcap.serving.variants import VariantSlot
from endcap.serving.waiting_room import Taken, WaitingRoom
from endcap.sessions import Session
from endcap.traces import CURRENT

log = logging.getLogger(__name__)

_LONGEST_PAUSE_S = 1.0
"""Between two attempts to write: who waits for a list waits at most so long after Redis is back."""
_POLICY = Policy()
_NO_RULES = ShopRules()


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
    shop: ShopRules = _NO_RULES,
) -> dict[str, RecommendationList]:
    """Lists for sessions that are waited for, as `make_lists` makes them; their work is counted."""
    made = make_lists(sessions, bundle, scorer, policy, catalogue, generation, shop)
    metrics.INFERENCE_SECONDS.observe(made.inference_s)
    for count in made.candidates:
        metrics.CANDIDATES.observe(count)
    INPUTS.count(bundle, made.crowd, made.found)
    return made.lists


def popular_list(
    bundle: Bundle, size: int = 20, messages: Messages = ENGLISH
) -> RecommendationList:
    """What the bundle knows to be popular: the fallback until the stream knows better."""
    items = tuple(
        ListItem(
            bundle.item(int(i)).item_id,
            round(float(bundle.generators.popularity_now[i]), 6),
            messages.say("popular"),
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
        slot: ModelSlot,
        policy: Policy = _POLICY,
        catalogue: Catalogue | None = None,
        generation: int = 1,
        *,
        room: WaitingRoom | None = None,
        variants: VariantSlot | None = None,
        shop: ShopRules = _NO_RULES,
    ) -> None:
        """`open_sessions` gives a started consumer of the sessions topic, in a group, that never
        commits by itself. What is handed over to `room` is served too. `variants`: the experiments
        that shoppers are in; `shop`: the rules. Of both what is in force when a batch is scored
        holds for it."""
        self._open_sessions = open_sessions
        self._writer = writer
        self._room = WaitingRoom() if room is None else room
        self._slot = slot
        self._quality = OnlineQuality()
        self._rescore = partial(
            _rescore_snapshots,
            parts=(policy, catalogue, generation, shop),
            variants=variants or VariantSlot(),
            quality=self._quality,
        )
        self._trials = ShadowTrials(slot, policy, catalogue, shop=shop)
        self._scored: asyncio.Queue[_Scored | None] = asyncio.Queue(maxsize=1)
        self._store_is_away = False
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the batches in hand, then return from `run()`."""
        self._stopping.set()
        self._room.wake()

    async def run(self) -> None:
        """Work until stopped. What waits then is not committed: it is read again.

        Raises:
            BrokerUnavailableError: no broker answers at the start.
            StoreUnavailableError: Redis was away when it was stopped.
        """
        consumer = await self._open_sessions()
        reader = SessionsReader(consumer, self._room)
        working = [
            asyncio.create_task(part)
            for part in (self._read_with(reader), self._score_on(), self._write_on())
        ]
        try:
            await asyncio.gather(*working)
            await reader.commit()
        finally:
            for part in working:
                part.cancel()
            await asyncio.wait(working)
            await consumer.stop()

    async def _read_with(self, reader: SessionsReader) -> None:
        while not self._stopping.is_set():
            await reader.read(self._store_is_away)
            metrics.UNFINISHED.set(self._room.unfinished)

    async def _score_on(self) -> None:
        """Whoever waits forms the next batch; nobody waits for a fuller one."""
        run = asyncio.get_running_loop().run_in_executor
        with ThreadPoolExecutor(1, "rescore") as thread:
            while True:
                rest_s = LEISURE_S
                while self._trials and await self._room.is_idle_for(rest_s):
                    started = time.perf_counter()
                    await run(thread, self._trials.step)
                    rest_s = max(LEISURE_S, REST * (time.perf_counter() - started))
                taken = await self._room.take(self._slot.current.max_batch)
                if self._stopping.is_set():
                    break
                lists: dict[str, RecommendationList] = {}
                newest: list[int] = []
                if taken.snapshots:
                    raw = [each.raw or b"" for each in taken.snapshots]
                    started = time.perf_counter()
                    lists, newest = await run(thread, self._rescore, raw, self._slot.current)
                    metrics.BATCH.observe(len(raw))
                    metrics.RESCORE_SECONDS.observe(time.perf_counter() - started)
                    users = (each.user_id for each in taken.snapshots)
                    self._trials.offer(
                        (user, each) for user, each in zip(users, raw, strict=True) if user in lists
                    )
                await self._scored.put((taken, lists, newest))
            await self._scored.put(None)

    async def _write_on(self) -> None:
        """One batch after the other: what ended is deleted before a newer list is written."""
        while (scored := await self._scored.get()) is not None:
            taken, lists, arrived_ms = scored
            started = time.perf_counter()
            if taken.ended:
                gone = [each.user_id for each in taken.ended]
                await self._until_it_answers(partial(self._writer.delete_lists, gone))
                metrics.LISTS_DELETED.inc(len(gone))
                self._quality.forget(gone)
            if lists:
                written = await self._until_it_answers(partial(self._writer.write_lists, lists))
                metrics.LISTS.labels("written").inc(written)
                metrics.LISTS.labels("older").inc(len(lists) - written)
                took_s = time.perf_counter() - started
                metrics.WRITE_SECONDS.observe(took_s)
                if CURRENT.traces is not None:
                    CURRENT.traces.written(lists, time.time_ns() - int(took_s * 1e9))
                now_ms = time.time() * 1000
                for each in arrived_ms:
                    metrics.EVENT_TO_LIST_SECONDS.observe(max(0.0, now_ms - each) / 1000)
            self._room.done(taken)

    async def _until_it_answers(self, ask: Callable[[], Awaitable[int]]) -> int:
        pause_s = 0.1
        while True:
            try:
                answer = await ask()
            except StoreUnavailableError as error:
                # Nothing is committed while Redis is away: the lists wait in Kafka.
                self._store_is_away = True
                metrics.REDIS_RETRIES.inc()
                log.warning("%s Trying again in %.1f s.", error, pause_s)
                if self._stopping.is_set():
                    raise
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause_s)
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
            else:
                self._store_is_away = False
                return answer


_Scored = tuple[Taken, dict[str, RecommendationList], list[int]]
"""Who, their lists, and when the newest event of each arrived."""


def _rescore_snapshots(
    raw: Sequence[bytes], model: Model, parts: Any, variants: VariantSlot, quality: OnlineQuality
) -> tuple[dict[str, RecommendationList], list[int]]:
    """Off the event loop, decoding and the fold of each tail included."""
    read = read_snapshots(raw)
    sessions = [each.session for each in read]
    policy, *others = parts

    def made_by(some: Sequence[Session], one: Model, by: Policy) -> dict[str, RecommendationList]:
        return rescore(some, one.bundle, one.scorer, by, *others)

    lists = variants.lists(sessions, model, policy, made_by)
    quality.look(sessions, lists, model.bundle)
    return lists, [each.arrived_ms for each in read]
