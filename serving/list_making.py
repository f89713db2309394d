"""From sessions to lists by one model: what the rescorer, a request and a comparison share."""

import time
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from endcap.bundle import Bundle
from endcap.catalogue import CatalogueItem
from endcap.lists import RecommendationList, list_version
from endcap.policy import Policy, make_slate
from endcap.serving.onnx_session import OnnxScorer
from endcap.sessions import Session


class Catalogue(Protocol):
    """What the shop sells now: newer than what the bundle was trained with."""

    def get(self, item_id: str, /) -> CatalogueItem | None:
        """The item's facts; None where the shop does not sell it."""
        ...

    def __len__(self) -> int:
        """How many items; 0 where the shop publishes no catalogue."""
        ...


class Made(NamedTuple):
    """Lists by user; how many candidates each had, in the sessions' order; the scores' time."""

    lists: dict[str, RecommendationList]
    candidates: list[int]
    inference_s: float


def make_lists(
    sessions: Sequence[Session],
    bundle: Bundle,
    scorer: OnnxScorer,
    policy: Policy,
    catalogue: Catalogue | None = None,
    generation: int = 1,
) -> Made:
    """Lists for sessions, by one call of the graph. Values in, values out; nothing is counted."""
    # "Now" is the session's own newest event: a replay of last year gives last year's lists.
    crowd = bundle.crowd(sessions)
    found = bundle.gatherer.gather(crowd)
    started = time.perf_counter()
    scored = scorer.score(crowd, found)
    inference_s = time.perf_counter() - started
    generated_at = int(time.time() * 1000)

    items, n_items = bundle.items, len(bundle.items)
    sold = catalogue.get if catalogue else None

    def item_at(strange: tuple[str, ...], index: int) -> CatalogueItem:
        item = items[index - 1] if index <= n_items else _of_no_model(bundle, strange, index)
        if sold is None:
            return item
        return sold(item.item_id) or msgspec.structs.replace(item, in_stock=False)

    lists: dict[str, RecommendationList] = {}
    counts: list[int] = []
    for row, session in enumerate(sessions):
        candidates = found.of(row)
        counts.append(candidates.ids.size)
        named = partial(item_at, crowd.strange[row])
        slate = make_slate(session, candidates, scored.row(row), named, policy, session.updated_ms)
        lists[session.user_id] = RecommendationList(
            list_version(generation, session.events_folded),
            bundle.manifest.name,
            generated_at,
            slate,
        )
    return Made(lists, counts, inference_s)


def _of_no_model(bundle: Bundle, strange: tuple[str, ...], index: int) -> CatalogueItem:
    """Of what the model knows nothing of the shopper has named the id."""
    item_id = strange[index - len(bundle.items) - 1]
    listed = bundle.index_of.get(item_id)
    return bundle.item(listed) if listed else CatalogueItem(item_id, item_id)
