"""A shopper's session state, and the fold that every consumer of events shares."""

from collections.abc import Iterable
from operator import attrgetter

import msgspec
from xxhash import xxh3_64_digest

from endcap.events import Event, EventType, home_of

MAX_INTERACTIONS = 50
MAX_CARTED = 50
MAX_PURCHASED_ITEMS = 256
HALF_LIFE_MS = 45 * 86_400_000

_ADD = EventType.ADD_TO_CART.code
_REMOVE = EventType.REMOVE_FROM_CART.code
_PURCHASE = EventType.PURCHASE.code
_INTERACTIONS = frozenset(
    {
        EventType.VIEW_ITEM.code,
        EventType.SELECT_ITEM.code,
        EventType.ADD_TO_WISHLIST.code,
        EventType.PURCHASE.code,
    }
)
_by_time = attrgetter("timestamp_ms", "type_code")
# An order without ties: what lies in one session cannot depend on how it came there.
_by_last = attrgetter("last_ms", "item_id")
_by_cart_act = attrgetter("at_ms", "item_id")


class Act(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """What the fold needs of an event.

    Acts are ordered by their fields: by time, at the same time as a visit goes (a look before the
    cart, the cart before the purchase: `EventType`'s order), then by `digest`, so that the order of
    a shopper's acts never depends on how they arrived. `digest`: XXH3's 8 bytes of the event id;
    among a thousand ids of one shopper two are equal with a chance below 1e-13.
    """

    timestamp_ms: int
    type_code: int
    digest: bytes
    item_ids: tuple[str, ...] = ()


class Interaction(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An item touched: `type_code` is the model's input (1..12, in EventType's order)."""

    item_id: str
    type_code: int
    timestamp_ms: int


class Carted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When an item was last put into the cart, and when last taken out; 0: never."""

    item_id: str
    added_ms: int
    removed_ms: int = 0

    @property
    def at_ms(self) -> int:
        """The newer of the two."""
        return self.added_ms if self.added_ms > self.removed_ms else self.removed_ms


class Purchased(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How often an item was bought (by transactions), when first and last.

    `decayed` counts with a half-life of `HALF_LIFE_MS`, as of `last_ms`: habits of last spring
    weigh less than this month's (recency-aware frequency, Faggioli et al., UMAP 2020).
    """

    item_id: str
    times: int
    last_ms: int
    first_ms: int
    decayed: float

    def decayed_at(self, now_ms: int) -> float:
        """The decayed count at a later time."""
        elapsed_ms = max(0, now_ms - self.last_ms)
        return self.decayed * float(0.5 ** (elapsed_ms / HALF_LIFE_MS))


class Session(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of one shopper.

    Every collection keeps its newest by event time and is in that order, so that sessions of one
    person can be put together, in any order, without a difference (docs/decisions/0014).

    `interactions`: items looked at, chosen, wished for or bought. `carted`: the last items put into
    the cart or taken out, those bought since among them. `events_folded` counts every event that
    this id's session ever held, those handed over to a known user too: it only rises, and lists
    are versioned by it.
    """

    user_id: str
    interactions: tuple[Interaction, ...] = ()
    carted: tuple[Carted, ...] = ()
    purchased: tuple[Purchased, ...] = ()
    events_folded: int = 0
    updated_ms: int = 0

    @property
    def cart(self) -> tuple[str, ...]:
        """What lies in the cart, oldest first."""
        return tuple(c.item_id for c in self._unspent() if c.added_ms > c.removed_ms)

    @property
    def history(self) -> tuple[Interaction, ...]:
        """The newest interactions, what was carted among them, oldest first.

        What was put into the cart and then bought is one intention, not two: the purchase alone.
        """
        added = [Interaction(c.item_id, _ADD, c.added_ms) for c in self._unspent()]
        if not added:
            return self.interactions
        return tuple(sorted((*self.interactions, *added), key=_by_time)[-MAX_INTERACTIONS:])

    def _unspent(self) -> Iterable[Carted]:
        added = [c for c in self.carted if c.added_ms]
        if not added:
            return ()
        oldest_ms, bought_ms = min([c.added_ms for c in added]), dict[str, int]()
        for past in reversed(self.purchased):
            if past.last_ms < oldest_ms:
                break
            bought_ms[past.item_id] = past.last_ms
        return [c for c in added if c.added_ms > bought_ms.get(c.item_id, -1)]


def act_of(event: Event) -> Act:
    """The event as the fold sees it."""
    items = event.items
    return Act(
        event.timestamp_ms,
        event.event_name.code,
        xxh3_64_digest(event.event_id.encode()),
        (items[0].item_id,) if len(items) == 1 else tuple([item.item_id for item in items]),
    )


def fold(session: Session, act: Act) -> Session:
    """The session after one more act.

    >>> fold(Session("u"), Act(5, EventType.VIEW_ITEM.code, b"", ("milk",))).interactions
    (Interaction(item_id='milk', type_code=1, timestamp_ms=5),)
    """
    return fold_acts(session, (act,))


def fold_acts(session: Session, acts: Iterable[Act]) -> Session:
    """The session after several acts.

    It is the same however acts are grouped into calls, and in whatever order they come, but for
    two of one type at the same millisecond, and where more than `MAX_PURCHASED_ITEMS` items were
    bought or `MAX_CARTED` were in the cart: an item that was forgotten and comes again counts anew.
    """
    interactions = list(session.interactions)
    newest = _by_time(interactions[-1]) if interactions else (0, 0)
    is_in_order = True
    carted: dict[str, Carted] = {}
    purchased: dict[str, Purchased] = {}
    updated_ms, count = session.updated_ms, session.events_folded
    for act in acts:
        when, code, items = act.timestamp_ms, act.type_code, act.item_ids
        count += 1
        if when > updated_ms:
            updated_ms = when
        if code in _INTERACTIONS:
            is_in_order = is_in_order and newest <= (when, code)
            newest = when, code
            for item in items:
                interactions.append(Interaction(item, code, when))
            if code == _PURCHASE:
                purchased = purchased or {past.item_id: past for past in session.purchased}
                _buy(purchased, items, when)
        elif code == _ADD:
            carted = carted or {past.item_id: past for past in session.carted}
            _put_together(carted, (Carted(item, when) for item in items))
        elif code == _REMOVE:
            carted = carted or {past.item_id: past for past in session.carted}
            _put_together(carted, (Carted(item, 0, when) for item in items))
    if not is_in_order:
        interactions.sort(key=_by_time)
    return Session(
        session.user_id,
        tuple(interactions[-MAX_INTERACTIONS:]),
        _newest_carted(carted) if carted else session.carted,
        tuple(purchased.values()) if purchased else session.purchased,
        count,
        updated_ms,
    )


def merge_sessions(one: Session, other: Session) -> Session:
    """Two sessions of one person as the session of all their acts, of which none is in both."""
    carted = {past.item_id: past for past in one.carted}
    _put_together(carted, other.carted)
    purchased = {past.item_id: past for past in one.purchased}
    for past in other.purchased:
        known = purchased.get(past.item_id)
        purchased[past.item_id] = _bought_together(known, past) if known else past
    return Session(
        one.user_id,
        tuple(sorted((*one.interactions, *other.interactions), key=_by_time)[-MAX_INTERACTIONS:]),
        _newest_carted(carted),
        tuple(sorted(purchased.values(), key=_by_last)[-MAX_PURCHASED_ITEMS:]),
        one.events_folded + other.events_folded,
        max(one.updated_ms, other.updated_ms),
    )


def fold_all(events: Iterable[Event]) -> dict[str, Session]:
    """The plain result that every worker must equal.

    Each event id once, in the order of `Act`; what a device did is the session of the next person
    to log in on it.
    """
    done: dict[str, dict[bytes, tuple[Act, str | None]]] = {}
    for event in events:
        act, home = act_of(event), home_of(event)
        who = event.user_id if home != event.user_id else None
        done.setdefault(home, {}).setdefault(act.digest, (act, who))
    owned: dict[str, list[Act]] = {}
    for home, known in done.items():
        owner = home
        for act, who in sorted(known.values(), key=lambda each: each[0], reverse=True):
            owner = who or owner
            owned.setdefault(owner, []).append(act)
    return {user_id: fold_acts(Session(user_id), sorted(acts)) for user_id, acts in owned.items()}


def _buy(purchased: dict[str, Purchased], items: Iterable[str], when_ms: int) -> None:
    """One transaction more; `purchased` is in order, and stays so."""
    newest = next(reversed(purchased.values()), None)
    for item_id in sorted(set(items)):
        past, once = purchased.pop(item_id, None), Purchased(item_id, 1, when_ms, when_ms, 1.0)
        purchased[item_id] = _bought_together(past, once) if past else once
    if newest is not None and newest.last_ms >= when_ms:
        ordered = sorted(purchased.values(), key=_by_last)
        purchased.clear()
        purchased |= {past.item_id: past for past in ordered}
    while len(purchased) > MAX_PURCHASED_ITEMS:
        del purchased[next(iter(purchased))]


def _bought_together(one: Purchased, other: Purchased) -> Purchased:
    last_ms = max(one.last_ms, other.last_ms)
    return Purchased(
        one.item_id,
        one.times + other.times,
        last_ms,
        min(one.first_ms, other.first_ms),
        one.decayed_at(last_ms) + other.decayed_at(last_ms),
    )


def _put_together(carted: dict[str, Carted], more: Iterable[Carted]) -> None:
    for now in more:
        past = carted.pop(now.item_id, None)
        if past is not None:
            now = Carted(  # noqa: PLW2901
                now.item_id,
                max(past.added_ms, now.added_ms),
                max(past.removed_ms, now.removed_ms),
            )
        carted[now.item_id] = now


def _newest_carted(carted: dict[str, Carted]) -> tuple[Carted, ...]:
    return tuple(sorted(carted.values(), key=_by_cart_act)[-MAX_CARTED:])
