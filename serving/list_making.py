"""From sessions to lists by one model: what the rescorer, a request and a comparison share."""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from endcap.bundle import Bundle
from endcap.candidates import Crowd, Gathered
from endcap.catalogue import CatalogueItem
from endcap.lists import ListItem, RecommendationList, list_version
from endcap.messages import Messages
from endcap.policy import Policy
from endcap.repeats import away_of
from endcap.rules import Asked, Ruling, make_ruled_slate
from endcap.scoring import Scored
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.shop_rules import ShopRules
from endcap.sessions import Session
from endcap.slates import make_slates


class Catalogue(Protocol):
    """What the shop sells now: newer than what the bundle was trained with."""

    def get(self, item_id: str, /) -> CatalogueItem | None:
        """The item's facts; None where the shop does not sell it."""
        ...

    def __len__(self) -> int:
        """How many items; 0 where the shop publishes no catalogue."""
        ...


_NO_RULES = ShopRules()


class Made(NamedTuple):
    """Lists by user; how many candidates each had, in the sessions' order; the scores' time; what
    the model was asked, and the candidates that it was given."""

    lists: dict[str, RecommendationList]
    candidates: list[int]
    inference_s: float
    crowd: Crowd
    found: Gathered


def make_lists(
    sessions: Sequence[Session],
    bundle: Bundle,
    scorer: OnnxScorer,
    policy: Policy,
    catalogue: Catalogue | None = None,
    generation: int = 1,
    shop: ShopRules = _NO_RULES,
) -> Made:
    """Lists for sessions, by one call of the graph. Values in, values out; nothing is counted."""
    # "Now" is the session's own newest event: a replay of last year gives last year's lists.
    crowd = bundle.crowd(sessions)
    found = bundle.gatherer.gather(crowd)
    started = time.perf_counter()
    scored = scorer.score(crowd, found)
    inference_s = time.perf_counter() - started
    generated_at = int(time.time() * 1000)

    items = Items(bundle, catalogue)
    ruling = shop.ruling(bundle, policy.placement, generated_at)
    making = sessions, crowd, found, scored
    slates = (
        make_slates(*making, items, policy, bundle.waits_ms, shop.messages)
        if ruling is None
        else _ruled_slates(*making, items, policy, bundle, ruling, shop.messages)
    )
    lists = {
        session.user_id: RecommendationList(
            list_version(generation, session.events_folded),
            bundle.manifest.name,
            generated_at,
            slate,
        )
        for session, slate in zip(sessions, slates, strict=True)
    }
    counts = (found.offsets[1:] - found.offsets[:-1]).tolist()
    return Made(lists, counts, inference_s, crowd, found)


class Items:
    """Items by index and by id, as the shop sells them now: what it does not sell is out of stock.
    `strange`: a shopper's own items, of which the model knows nothing."""

    def __init__(self, bundle: Bundle, catalogue: Catalogue | None) -> None:
        self._bundle = bundle
        self._n_items = len(bundle.items)
        self._sold = catalogue.get if catalogue else None
        self.known = () if catalogue else bundle.items
        """By index from 1: what the shop has said nothing newer of."""

    def at(self, strange: tuple[str, ...], index: int) -> CatalogueItem:
        """The item at an index."""
        if index <= self._n_items:
            item = self._bundle.items[index - 1]
        else:
            item = self._of_no_model(strange, index)
        if self._sold is None:
            return item
        return self._sold(item.item_id) or msgspec.structs.replace(item, in_stock=False)

    def find(self, strange: tuple[str, ...], item_id: str) -> int:
        """The index of an item; 0 where it has none."""
        index = self._bundle.met.get(item_id)
        if index is None and item_id in strange:
            index = self._n_items + 1 + strange.index(item_id)
        return index or self._bundle.index_of.get(item_id, 0)

    def named(self, item_id: str) -> CatalogueItem | None:
        """What the shop sells under this id, whether or not a model knows it."""
        if self._sold is not None:
            return self._sold(item_id)
        index = self._bundle.index_of.get(item_id)
        return self._bundle.item(index) if index else None

    def _of_no_model(self, strange: tuple[str, ...], index: int) -> CatalogueItem:
        """Of what the model knows nothing of the shopper has named the id."""
        item_id = strange[index - self._n_items - 1]
        listed = self._bundle.index_of.get(item_id)
        return self._bundle.item(listed) if listed else CatalogueItem(item_id, item_id)


def _ruled_slates(
    sessions: Sequence[Session],
    crowd: Crowd,
    found: Gathered,
    scored: Scored,
    items: Items,
    policy: Policy,
    bundle: Bundle,
    ruling: Ruling,
    messages: Messages,
) -> Iterator[tuple[ListItem, ...]]:
    away = away_of(crowd, bundle.waits_ms)
    for row, session in enumerate(sessions):
        strange = crowd.strange[row]
        asked = Asked(
            session,
            found.of(row),
            scored.row(row),
            partial(items.at, strange),
            partial(items.find, strange),
            items.named,
            session.updated_ms,
            away[row],
            bundle.generators.popularity_now,
        )
        yield make_ruled_slate(asked, policy, ruling, messages)
