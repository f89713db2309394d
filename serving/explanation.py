"""The whole path of one list: what was scored, why, what rules moved, and what became of each item.

By the functions that make lists; nothing is written, and nothing is counted.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from endcap.candidates import FEATURES, GENERATED, Candidates
from endcap.catalogue import CatalogueItem
from endcap.experiments import Explore, explored
from endcap.lists import ListItem, RecommendationList, list_version
from endcap.policy import Policy
from endcap.repeats import away_of
from endcap.rules import NO_RULES, Asked, Gate, Ruling, make_ruled_slate, pins_of
from endcap.serving.list_making import Catalogue, Items
from endcap.serving.model_slot import Model
from endcap.serving.shop_rules import ShopRules
from endcap.sessions import Session

_BOUGHT, _SEEN = FEATURES.index("times_bought"), FEATURES.index("in_history")
_TRANSFORMER, _POPULAR = "transformer", "popular"


class Considered(NamedTuple):
    """An item that was scored. `sources` named it, with their scores; `features` are those that are
    not 0; `points` of `rules`. `place` in the slate from 1; 0: not in it, and `why_not`."""

    id: str
    title: str
    category: str
    sources: dict[str, float]
    features: dict[str, float]
    score: float
    points: float
    rules: tuple[str, ...]
    place: int
    why_not: str


class Explanation(NamedTuple):
    """`considered`: best first, by the scores that decide; `pinned`: what a pin put into the slate,
    by item id, with its rule. `slate` has its chance taken; `titles` of its items, by id."""

    considered: tuple[Considered, ...]
    slate: tuple[ListItem, ...]
    pinned: dict[str, str]
    rules: tuple[str, ...]
    diversity: float
    titles: Mapping[str, str]


def explain_list(
    session: Session,
    model: Model,
    policy: Policy,
    catalogue: Catalogue | None,
    shop: ShopRules,
    explore: Explore | None = None,
    generation: int = 1,
) -> Explanation:
    """What the rescorer would give this session now. `model`, `policy` and `explore`: those of the
    shopper's variants."""
    bundle = model.bundle
    crowd = bundle.crowd([session])
    gathered = bundle.gatherer.gather(crowd)
    scored = model.scorer.score(crowd, gathered).row(0)
    items, strange = Items(bundle, catalogue), crowd.strange[0]
    now_ms = int(time.time() * 1000)
    ruling = shop.ruling(bundle, policy.placement, now_ms)
    if ruling is None:  # by empty rules the slate is the same
        ruling = Ruling(NO_RULES, policy.placement, now_ms, len(bundle.items))
    asked = Asked(
        session,
        gathered.of(0),
        scored,
        partial(items.at, strange),
        partial(items.find, strange),
        items.named,
        session.updated_ms,
        away_of(crowd, bundle.waits_ms)[0],
        bundle.generators.popularity_now,
    )
    slate = make_ruled_slate(asked, policy, ruling, shop.messages)
    if explore is not None:
        version = list_version(generation, session.events_folded)
        ready = RecommendationList(version, bundle.manifest.name, now_ms, slate)
        slate = explored(ready, explore, session.user_id).items
    places = {item.id: place for place, item in enumerate(slate, start=1)}
    considered = _considered(asked, policy, ruling, places)
    return Explanation(
        considered,
        slate,
        pins_of(asked, policy, ruling) if ruling.pins else {},
        tuple(rule.name for rule in ruling.rules),
        ruling.diversity,
        _titles(slate, items.named),
    )


def explain_held_out(
    trending: RecommendationList, size: int, named: Callable[[str], CatalogueItem | None]
) -> Explanation:
    """The list of a shopper whom an experiment holds out: nothing is scored for them. `named`: what
    the shop sells, by id."""
    slate = trending.items[:size]
    return Explanation((), slate, {}, (), 0.0, _titles(slate, named))


def _titles(
    slate: Sequence[ListItem], named: Callable[[str], CatalogueItem | None]
) -> dict[str, str]:
    return {item.id: found.title for item in slate if (found := named(item.id))}


def _considered(
    asked: Asked, policy: Policy, ruling: Ruling, places: dict[str, int]
) -> tuple[Considered, ...]:
    gate = Gate(asked, policy, ruling)
    found = [
        _of_one(at, asked, gate, ruling, places) for at in np.flatnonzero(asked.scored.ids).tolist()
    ]
    in_order = sorted(found, key=lambda item: -(item.score + item.points))
    full = _full_categories(in_order, ruling.per_category or policy.per_category)
    last = min((item.score + item.points for item in in_order if item.place), default=float("-inf"))
    return tuple(
        item
        if item.place or item.why_not
        else item._replace(
            why_not=f"{item.category} has its {ruling.per_category or policy.per_category} places"
            if item.category in full and item.score + item.points >= last
            else "others come first"
        )
        for item in in_order
    )


def _full_categories(considered: list[Considered], most: int) -> set[str]:
    shown = [item.category for item in considered if item.place and item.category]
    return {category for category in shown if shown.count(category) >= most}


def _of_one(
    at: int, asked: Asked, gate: Gate, ruling: Ruling, places: dict[str, int]
) -> Considered:
    index = int(asked.scored.ids[at])
    item: CatalogueItem = asked.item_at(index)
    effect = ruling.effects.of(item)
    place = places.get(item.item_id, 0)
    features = _features(asked.candidates, at)
    return Considered(
        item.item_id,
        item.title,
        item.category,
        _sources(asked.candidates, at, features),
        features,
        round(float(asked.scored.scores[at]), 4),
        round(effect.points, 4),
        effect.moved,
        place,
        "" if place else gate.why_not(index, item),
    )


def _features(candidates: Candidates, at: int) -> dict[str, float]:
    if at >= candidates.ids.size:
        return {}
    row = candidates.features[at].tolist()
    return {name: round(value, 4) for name, value in zip(FEATURES, row, strict=True) if value != 0}


def _sources(candidates: Candidates, at: int, features: dict[str, float]) -> dict[str, float]:
    """Which generators named the item; those without a score of their own have 1."""
    if at >= candidates.ids.size:
        return {_TRANSFORMER: 1.0}
    found = {name: features[name] for name in FEATURES[GENERATED:] if name in features}
    row = candidates.features[at]
    if row[_BOUGHT] > 0:
        found = {"bought": 1.0} | found
    elif row[_SEEN] > 0:
        found = {"seen": 1.0} | found
    return found or {_POPULAR: 1.0}


class Difference(NamedTuple):
    """How a list differs from the one that lies ready; `moved`: by item, from and to a place."""

    same: bool
    added: tuple[str, ...]
    gone: tuple[str, ...]
    moved: dict[str, tuple[int, int]]
    why: tuple[str, ...]


class Made(NamedTuple):
    """By what a list is made: the session's version, the model, the variants."""

    version: int
    model: str
    variant: str


def difference(ready: RecommendationList, now: Explanation, made: Made) -> Difference:
    """What changed since the ready list was made, and what is known of why. `made`: of a list of
    this session now."""
    was = {item.id: place for place, item in enumerate(ready.items, start=1)}
    new = {item.id: place for place, item in enumerate(now.slate, start=1)}
    why = []
    if ready.version != made.version:
        why.append(f"the list is of version {ready.version}, the session of {made.version}")
    if ready.variant != made.variant:
        was_in, is_in = ready.variant or "none", made.variant or "none"
        why.append(f"the list is of variant {was_in}, the shopper now of {is_in}")
    if ready.model != made.model:
        why.append(f"the list is of model {ready.model}, now {made.model} makes it")
    return Difference(
        list(was) == list(new),
        tuple(item for item in new if item not in was),
        tuple(item for item in was if item not in new),
        {i: (was[i], new[i]) for i in new if i in was and was[i] != new[i]},
        tuple(why),
    )


def told(explanation: Explanation) -> dict[str, Any]:
    """For JSON."""
    considered = {item.id: item for item in explanation.considered}
    return {
        "rules_in_force": list(explanation.rules),
        "diversity": explanation.diversity,
        "slate": [
            {
                "place": place,
                "id": item.id,
                "score": item.score,
                "reason": item.reason,
                "propensity": item.propensity,
                "title": explanation.titles.get(item.id, ""),
                "moved_by": [
                    *(considered[item.id].rules if item.id in considered else ()),
                    *([explanation.pinned[item.id]] if item.id in explanation.pinned else []),
                ],
            }
            for place, item in enumerate(explanation.slate, start=1)
        ],
        "candidates": [
            item._asdict() | {"rules": list(item.rules)} for item in considered.values()
        ],
    }
