"""A few items with scores, and the slate that rules make of them; no model is needed."""

from collections.abc import Sequence

import numpy as np

from endcap.candidates import FEATURES, Candidates
from endcap.catalogue import CatalogueItem
from endcap.lists import ListItem
from endcap.policy import Policy
from endcap.rules import DEFAULT_PLACEMENT, Asked, Ruling, make_ruled_slate, parse_rules
from endcap.scoring import ScoredRow
from endcap.sessions import Session

NOW_MS = 1_764_000_000_000


def candidates_of(count: int) -> Candidates:
    """Popular ones, of whom nothing else is known."""
    nobody = np.zeros(count, np.int32)
    features = np.zeros((count, len(FEATURES)), np.float32)
    return Candidates(np.arange(1, count + 1, dtype=np.int32), features, nobody, nobody)


def asked_of(
    items: Sequence[CatalogueItem],
    scores: Sequence[float],
    session: Session,
    candidates: int | None = None,
    now_ms: int = NOW_MS,
) -> Asked:
    """The first `candidates` of the items were scored (all unless said); the shop sells all."""
    count = len(items) if candidates is None else candidates
    index_of = {item.item_id: index for index, item in enumerate(items, start=1)}
    found = candidates_of(count)
    return Asked(
        session,
        found,
        ScoredRow(found.ids.astype(np.int64), np.array(scores[:count], np.float32)),
        lambda index: items[index - 1],
        lambda item_id: index_of.get(item_id, 0),
        lambda item_id: items[index_of[item_id] - 1] if item_id in index_of else None,
        now_ms,
    )


def ruled(
    text: str,
    asked: Asked,
    policy: Policy | None = None,
    placement: str = DEFAULT_PLACEMENT,
    wall_ms: int = NOW_MS,
) -> tuple[ListItem, ...]:
    """The slate by rules in YAML."""
    ruling = Ruling(parse_rules(text), placement, wall_ms, 10_000)
    return make_ruled_slate(asked, policy or Policy(), ruling)


def ids(slate: Sequence[ListItem]) -> list[str]:
    return [item.id for item in slate]
