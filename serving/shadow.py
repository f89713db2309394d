"""A second model tried on a share of the shoppers: its lists are compared, and never shown."""

import logging
import time
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import xxhash

from endcap.lists import RecommendationList
from endcap.policy import Policy
from endcap.serving import metrics
from endcap.serving.list_making import Catalogue, make_lists
from endcap.serving.model_slot import Model, ModelSlot, Shadow
from endcap.serving.shop_rules import ShopRules
from endcap.sessions import Session
from endcap.timeline import decode_snapshot

log = logging.getLogger(__name__)

TOP = 20
MOST_WAITING = 1000
"""Shoppers; of more the longest waiting are skipped."""
LEISURE_S, REST = 0.002, 3
"""A shadow begins so long after the last list, and rests for so many times what it took: else the
event loop, which reads and answers meanwhile, waits for the interpreter."""
_NO_RULES = ShopRules()


def is_chosen(user_id: str, share: float) -> bool:
    """Whether a shopper is in the share: always the same ones, and more of them in a larger one.

    >>> is_chosen("u7", 1.0), is_chosen("u7", 0.0)
    (True, False)
    """
    return xxhash.xxh32_intdigest(user_id.encode(), seed=20) < share * 2**32


def overlap_of(one: RecommendationList, other: RecommendationList) -> float:
    """The share of the first 20 that both name, whatever their order; 1 where both are empty."""
    first, second = ({item.id for item in each.items[:TOP]} for each in (one, other))
    longest = max(len(first), len(second))
    return len(first & second) / longest if longest else 1.0


class _Begun(NamedTuple):
    """Scored by the current model, not yet by its shadow."""

    session: Session
    shown: RecommendationList
    took_s: float
    shadow: Shadow


class ShadowTrials:
    """Whose session is still to be compared. True while there is one.

    A step scores one shopper by one of the two models: their times are of the same work, and
    whoever comes meanwhile waits for no more.
    """

    def __init__(
        self,
        slot: ModelSlot,
        policy: Policy,
        catalogue: Catalogue | None,
        most_waiting: int = MOST_WAITING,
        shop: ShopRules = _NO_RULES,
    ) -> None:
        self._slot = slot
        self._policy = policy
        self._catalogue = catalogue
        self._most_waiting = most_waiting
        self._shop = shop
        self._waiting: deque[bytes] = deque()
        self._begun: _Begun | None = None

    def __bool__(self) -> bool:
        return self._begun is not None or bool(self._waiting)

    def offer(self, snapshots: Iterable[tuple[str, bytes]]) -> None:
        """Shoppers whose list has just been made, with their snapshots: the chosen ones wait."""
        shadow = self._slot.shadow
        if shadow is None:
            return
        self._waiting.extend(raw for user_id, raw in snapshots if is_chosen(user_id, shadow.share))
        self._skip(len(self._waiting) - self._most_waiting)

    def step(self) -> None:
        """The longest waiting; a shadow that fails is taken off, and nobody notices."""
        shadow, begun = self._slot.shadow, self._begun
        self._begun = None
        if begun is not None and begun.shadow is not shadow:
            metrics.SHADOW_LISTS.labels("skipped").inc()
        elif shadow is None:
            self._skip(len(self._waiting))
        else:
            try:
                self._begun = self._next(shadow, begun)
            except Exception:
                metrics.SHADOW_LISTS.labels("failed").inc()
                log.exception(
                    "The shadow %s failed and is off; shown lists are not touched. Choose another "
                    "by `endcap models shadow BUNDLE`.",
                    shadow.model.bundle.manifest.name,
                )
                if self._slot.shadow is shadow:
                    self._slot.cast(None)

    def _next(self, shadow: Shadow, begun: _Begun | None) -> _Begun | None:
        if begun is None:
            session = decode_snapshot(self._waiting.popleft()).session
            shown, took_s = self._made(session, self._slot.current)
            return _Begun(session, shown, took_s, shadow)
        tried, took_s = self._made(begun.session, shadow.model)
        metrics.SHADOW_LISTS.labels("compared").inc()
        metrics.SHADOW_OVERLAP.observe(overlap_of(begun.shown, tried))
        metrics.SHADOW_SECONDS.labels("current").observe(begun.took_s)
        metrics.SHADOW_SECONDS.labels("shadow").observe(took_s)
        return None

    def _made(self, session: Session, model: Model) -> tuple[RecommendationList, float]:
        started = time.perf_counter()
        made = make_lists(
            [session],
            model.bundle,
            model.scorer,
            self._policy,
            self._catalogue,
            shop=self._shop,
        )
        return made.lists[session.user_id], time.perf_counter() - started

    def _skip(self, count: int) -> None:
        for _ in range(count):
            self._waiting.popleft()
            metrics.SHADOW_LISTS.labels("skipped").inc()
