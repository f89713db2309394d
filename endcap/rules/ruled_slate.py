"""A slate by a shop's rules. Without rules `endcap.policy.make_slate` gives the same, quicker."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from endcap.arrays import FloatArray
from endcap.catalogue import CatalogueItem
from endcap.diversity import mixed
from endcap.lists import ListItem
from endcap.messages import ENGLISH, Messages
from endcap.policy import LOOKED_AT, Policy, best_first
from endcap.reasons import reasons
from endcap.rules.gate import Asked, Gate
from endcap.rules.rule import Rule
from endcap.rules.ruling import Ruling


def make_ruled_slate(
    asked: Asked, policy: Policy, ruling: Ruling, messages: Messages = ENGLISH
) -> tuple[ListItem, ...]:
    """The slate that the rules allow. Whatever they say, nothing is in it that is sold out, lies in
    the cart or is blocked.

    1. Points of boosts and of what is buried are added to the scores.
    2. Pins take their positions: named items in the order of the rule, else the best that fits.
    3. The best of the others fill the rest, mixed by category.
    """
    scored = _moved(asked, policy, ruling)
    pinned = _pinned(scored, ruling)
    rest = _others(scored, ruling, policy, list(pinned.values()))
    places: list[_Place] = []
    for position in range(policy.size):
        chosen = pinned.pop(position, None) or next(rest, None)
        if chosen is None:
            break
        places.append(chosen)
    # Where there are too few others, what is pinned further down moves up.
    places += [pinned[position] for position in sorted(pinned)][: policy.size - len(places)]
    return _told(scored, places, messages)


def pins_of(asked: Asked, policy: Policy, ruling: Ruling) -> dict[str, str]:
    """The items that pins put into that slate, each with the rule's name."""
    pinned = _pinned(_moved(asked, policy, ruling), ruling)
    return {place.item.item_id: place.pin for place in pinned.values()}


_BLOCKED = float("-inf")


def _any(_: CatalogueItem) -> bool:
    return True


class _Place(NamedTuple):
    """`at` in the scored items; -1: not among them. `pin`: the rule that put it there; "": none."""

    at: int
    item: CatalogueItem
    pin: str = ""


class _Scored(NamedTuple):
    """`scores` as the rules have moved them, -inf is what they block; `values` and `ids` as lists,
    which are quicker to look into."""

    asked: Asked
    scores: FloatArray
    values: list[float]
    ids: list[int]
    gate: Gate
    size: int

    def allowed(self, wanted: Callable[[CatalogueItem], bool] = _any) -> Iterator[_Place]:
        """What is wanted and may be shown, best first."""
        item_at = self.asked.item_at
        for at in best_first(self.scores, LOOKED_AT * self.size):
            index = self.ids[at]
            if self.values[at] == _BLOCKED:
                return
            if index:
                item = item_at(index)
                if wanted(item) and not self.gate.why_not(index, item):
                    yield _Place(at, item)


def _moved(asked: Asked, policy: Policy, ruling: Ruling) -> _Scored:
    """With the points of boosts and of what is buried."""
    points = ruling.points_of(asked.scored.ids, asked.item_at)
    scores = asked.scored.scores if points is None else asked.scored.scores + points
    gate = Gate(asked, policy, ruling)
    return _Scored(asked, scores, scores.tolist(), asked.scored.ids.tolist(), gate, policy.size)


def _pinned(scored: _Scored, ruling: Ruling) -> dict[int, _Place]:
    """By position from 0; a position that is taken leads to the next one that is free."""
    taken: dict[int, _Place] = {}
    shown = set[str]()
    for rule in ruling.pins:
        places = (
            _named(scored, rule)
            if rule.where.items
            else _best_that_fits(scored, rule, shown, ruling)
        )
        for place in places:
            position = rule.position - 1
            while position in taken:
                position += 1
            if position < scored.size and place.item.item_id not in shown:
                taken[position] = place._replace(pin=rule.name)
                shown.add(place.item.item_id)
    return taken


def _named(scored: _Scored, rule: Rule) -> Iterator[_Place]:
    asked = scored.asked
    for item_id in rule.where.items:
        index, item = asked.find(item_id), asked.named(item_id)
        if item is None or not rule.where.holds(item) or scored.gate.why_not(index, item):
            continue
        at = scored.ids.index(index) if index in scored.ids and index else -1
        # Blocked a moment ago, and no more: its score is not known yet.
        yield _Place(at if at >= 0 and scored.values[at] > _BLOCKED else -1, item)


def _best_that_fits(
    scored: _Scored, rule: Rule, shown: set[str], ruling: Ruling
) -> Iterator[_Place]:
    """Of the scored items the best; where none fits, the most popular of the shop."""

    def fits(item: CatalogueItem) -> bool:
        return rule.where.holds(item) and item.item_id not in shown

    if best := next(scored.allowed(fits), None):
        yield best
        return
    asked = scored.asked
    if asked.popularity is None:
        return
    for index in ruling.popular_of(rule, asked.popularity, asked.item_at):
        item = asked.item_at(index)
        if fits(item) and not scored.gate.why_not(index, item):
            yield _Place(-1, item)
            return


def _others(
    scored: _Scored, ruling: Ruling, policy: Policy, pinned: list[_Place]
) -> Iterator[_Place]:
    """What fills the positions that are not pinned, in order."""
    counts: dict[str, int] = {}
    for place in pinned:
        counts[place.item.category] = counts.get(place.item.category, 0) + 1
    most = ruling.per_category if ruling.per_category and policy.is_mixed else policy.per_category
    shown = {place.item.item_id for place in pinned}
    allowed = scored.allowed(lambda item: item.item_id not in shown)
    if ruling.diversity and policy.is_mixed:
        found = list(islice(allowed, LOOKED_AT * policy.size))
        categories = [place.item.category for place in found]
        own = [scored.values[place.at] for place in found]
        for number in mixed(own, categories, ruling.diversity, counts, most):
            yield found[number]
    for place in allowed:
        category = place.item.category
        if category:
            count = counts.get(category, 0)
            if count >= most:
                continue
            counts[category] = count + 1
        yield place


def _told(scored: _Scored, places: list[_Place], messages: Messages) -> tuple[ListItem, ...]:
    """With scores as the rules have moved them; 0 and a reason of its own for what was pinned
    without being a candidate."""
    known = [place.at for place in places if place.at >= 0]
    said = reasons(scored.asked.candidates, known, scored.asked.item_at, messages)
    return tuple(
        ListItem(place.item.item_id, round(scored.values[place.at], 4), next(said))
        if place.at >= 0
        else ListItem(place.item.item_id, 0.0, messages.say("chosen"))
        for place in places
    )
