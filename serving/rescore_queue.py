"""Lists on request: what is waiting forms the batch, and inference runs off the event loop.

While nobody waits, a share of the sessions is scored once more, by the model and by its shadow.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec
import xxhash

from endcap.bundle import Bundle
from endcap.errors import EndcapError
from endcap.lists import RecommendationList
from endcap.policy import Policy
from endcap.serving import metrics
from endcap.serving.list_making import Catalogue
from endcap.serving.model_slot import Model, ModelSlot
from endcap.serving.rescorer import rescore
from endcap.serving.shadow import LEISURE_S, REST, ShadowTrials
from endcap.serving.shop_rules import ShopRules
from endcap.sessions import Session
from endcap.timeline import Snapshot, Timeline, encode_snapshot

log = logging.getLogger(__name__)

MAX_BATCH = 16
"""A batch is one answer's wait for the others in it: small, unlike the stream's."""
MAX_WAITING = 256
_BUSY_S = 0.1
"""A shadow looks again so seldom whether somebody still waits."""
_NO_RULES = ShopRules()


class TooManyWaitingError(EndcapError):
    """More requests wait than can be answered soon."""


class NoModelError(EndcapError):
    """There is no model to score with, for now."""


class Scoring(Protocol):
    """Where a session is scored."""

    async def rescore(self, session: Session, policy: Policy) -> RecommendationList:
        """The session's list.

        Raises:
            TooManyWaitingError: try again.
            NoModelError: it cannot be told when there is one.
        """
        ...


class LateQueue:
    """A queue that is still to come: its model is missing, and is looked for."""

    def __init__(self) -> None:
        self.queue: RescoreQueue | None = None

    async def rescore(self, session: Session, policy: Policy) -> RecommendationList:
        """See `Scoring`."""
        return await self._there().rescore(session, policy)

    @property
    def bundle(self) -> Bundle:
        """What the next batch is scored with.

        Raises:
            NoModelError: it cannot be told when there is one.
        """
        return self._there().bundle

    def _there(self) -> "RescoreQueue":
        if self.queue is None:
            raise NoModelError("This server has no model yet: its log says why.")
        return self.queue


class _Asked(NamedTuple):
    session: Session
    policy: Policy
    answer: "asyncio.Future[RecommendationList]"


class RescoreQueue:
    """Scores for whoever waits; one batch runs at a time, and is of one model.

    What the shadow is tried on has the usual policy: a request's size and candidates are its own.
    """

    def __init__(
        self,
        slot: ModelSlot,
        catalogue: Catalogue | None = None,
        shop: ShopRules = _NO_RULES,
    ) -> None:
        """`catalogue` None: the bundle's own items. `shop`: the rules in force when a batch is
        scored hold for it."""
        self._slot = slot
        self._catalogue = catalogue
        self._shop = shop
        self._waiting: deque[_Asked] = deque()
        self._running: asyncio.Task[None] | None = None
        self._trials = ShadowTrials(slot, Policy(), catalogue, shop=shop)
        self._trying: asyncio.Task[None] | None = None
        self._scorer_is_free = asyncio.Lock()

    @property
    def bundle(self) -> Bundle:
        """What the next batch is scored with."""
        return self._slot.current.bundle

    async def rescore(self, session: Session, policy: Policy) -> RecommendationList:
        """The session's list.

        Raises:
            TooManyWaitingError: `MAX_WAITING` wait already.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise TooManyWaitingError(
                f"{MAX_WAITING} requests wait to be scored. Try again, or run more servers."
            )
        asked = _Asked(session, policy, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if self._running is None:
            self._running = asyncio.create_task(self._until_nobody_waits())
        return await asked.answer

    async def _until_nobody_waits(self) -> None:
        try:
            while batch := self._next_batch():
                await self._serve(batch)
        finally:
            self._running = None

    def _next_batch(self) -> list[_Asked]:
        """The longest waiting, of one policy; who has gone is left out."""
        batch: list[_Asked] = []
        while self._waiting and len(batch) < MAX_BATCH:
            if batch and self._waiting[0].policy != batch[0].policy:
                break
            asked = self._waiting.popleft()
            if not asked.answer.done():
                batch.append(asked)
        return batch

    async def _serve(self, batch: list[_Asked]) -> None:
        metrics.BATCH.observe(len(batch))
        # Two requests may be of one shopper: each is known by its place.
        sessions = [
            msgspec.structs.replace(asked.session, user_id=str(place))
            for place, asked in enumerate(batch)
        ]
        try:
            async with self._scorer_is_free:
                model, policy = self._slot.current, batch[0].policy
                lists = await asyncio.to_thread(
                    _scored, sessions, model, policy, self._catalogue, self._shop
                )
        except Exception as error:
            log.exception("a batch on request could not be scored")
            for asked in batch:
                if not asked.answer.done():
                    asked.answer.set_exception(error)
            return
        for asked, ready in zip(batch, lists, strict=True):
            if not asked.answer.done():
                asked.answer.set_result(ready)
        self._try_shadow(batch)

    def _try_shadow(self, batch: Sequence[_Asked]) -> None:
        if self._slot.shadow is not None:
            self._trials.offer(_named(asked.session) for asked in batch)
        if self._trials and self._trying is None:
            self._trying = asyncio.create_task(self._until_tried())

    async def _until_tried(self) -> None:
        """A step at a time: who asks meanwhile waits for one shopper's list at most."""
        rest_s = LEISURE_S
        try:
            while self._trials:
                await asyncio.sleep(rest_s)
                if self._running is not None:
                    rest_s = _BUSY_S
                    continue
                async with self._scorer_is_free:
                    started = time.perf_counter()
                    await asyncio.to_thread(self._trials.step)
                rest_s = max(LEISURE_S, REST * (time.perf_counter() - started))
        finally:
            self._trying = None


def _named(session: Session) -> tuple[str, bytes]:
    """Shoppers of requests have no name: the same session is in the same share."""
    raw = encode_snapshot(Snapshot(Timeline(session), 0, 0, 0))
    return xxhash.xxh64_hexdigest(raw), raw


def _scored(
    sessions: Sequence[Session],
    model: Model,
    policy: Policy,
    catalogue: Catalogue | None,
    shop: ShopRules,
) -> list[RecommendationList]:
    lists = rescore(sessions, model.bundle, model.scorer, policy, catalogue, shop=shop)
    return [lists[session.user_id] for session in sessions]
