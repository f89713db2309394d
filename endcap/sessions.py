"""A shopper's session state, and the fold that every consumer of events shares."""

from collections.abc import Iterable

import msgspec
from xxhash import xxh3_64_digest

from endcap.events import Event, EventType, home_of

MAX_INTERACTIONS = 50
MAX_PURCHASED_ITEMS = 256
HALF_LIFE_MS = 45 * 86_400_000

ADD = EventType.ADD_TO_CART.code
_REMOVE = EventType.REMOVE_FROM_CART.code
_PURCHASE = EventType.PURCHASE.code
_INTERACTIONS = frozenset(
    {
        EventType.VIEW_ITEM.code,
        EventType.SELECT_ITEM.code,
        EventType.ADD_TO_CART.code,
        EventType.ADD_TO_WISHLIST.code,
        EventType.PURCHASE.code,
    }
)


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
    """What is known of one shopper. Every collection is bounded, newest last.

    `events_folded` counts every event that this id's session ever held, those handed over to a
    known user too: it only rises, and lists are versioned by it.
    """

    user_id: str
    interactions: tuple[Interaction, ...] = ()
    cart: tuple[str, ...] = ()
    purchased: tuple[Purchased, ...] = ()
    events_folded: int = 0
    updated_ms: int = 0


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
    """The session after several acts, in the order given.

    Every bound is kept after each act, so that it does not matter how acts are grouped into calls.
    """
    interactions, cart = list(session.interactions), list(session.cart)
    purchased = session.purchased
    updated_ms, count = session.updated_ms, session.events_folded
    for act in acts:
        when, code, items = act.timestamp_ms, act.type_code, act.item_ids
        count += 1
        updated_ms = max(updated_ms, when)
        if code in _INTERACTIONS:
            if code == _PURCHASE:
                # What was put into the cart and then bought is one intention, not two.
                carted = {item for item in items if item in cart}
                if carted:
                    interactions = [
                        past
                        for past in interactions
                        if past.type_code != ADD or past.item_id not in carted
                    ]
                    cart = [item for item in cart if item not in carted]
                purchased = _purchased_after(purchased, items, when)
            for item in items:
                interactions.append(Interaction(item, code, when))
            del interactions[:-MAX_INTERACTIONS]
        if code == ADD:
            cart += [item for item in items if item not in cart]
            del cart[:-MAX_INTERACTIONS]
        elif code == _REMOVE:
            cart = [item for item in cart if item not in items]
    return Session(session.user_id, tuple(interactions), tuple(cart), purchased, count, updated_ms)


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


def _purchased_after(
    purchased: tuple[Purchased, ...], items: tuple[str, ...], when_ms: int
) -> tuple[Purchased, ...]:
    after = {past.item_id: past for past in purchased}
    for item_id in items:
        past = after.pop(item_id, None)
        after[item_id] = (
            Purchased(item_id, 1, when_ms, when_ms, 1.0)
            if past is None
            else Purchased(
                item_id,
                past.times + 1,
                max(past.last_ms, when_ms),
                min(past.first_ms, when_ms),
                past.decayed_at(when_ms) + 1.0,
            )
        )
    return tuple(after.values())[-MAX_PURCHASED_ITEMS:]
