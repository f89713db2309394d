"""What the shoppers of a campaign have spent since they were planned, out of the events topic."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

from endcap.errors import InvalidEventError
from endcap.events import MAX_FUTURE_MS, Event, EventType, parse_event
from endcap.streams.topic_since import Advance, TopicSince
from endcap.topics import Topics

_NAMES = (EventType.PURCHASE.value.encode(), EventType.REFUND.value.encode())


class Since(NamedTuple):
    """Event times that count for one shopper: from `from_ms` to before `until_ms`."""

    from_ms: int
    until_ms: int


class Spent(NamedTuple):
    """By shopper, money less what was given back, and orders. `left_out`: how many records or
    lines, by why. `is_whole` False: the topic no longer holds all since then."""

    money: dict[str, float]
    orders: dict[str, int]
    left_out: dict[str, int]
    is_whole: bool


class Purse:
    """Takes purchases and refunds in any order; `spent()` says what came of them. A repeated event
    id counts once, as in a session; an order of several events is one order."""

    def __init__(self, windows: Mapping[str, Since], items: Collection[str] | None) -> None:
        """`items`: the goods that count; None for all."""
        self._windows = windows
        self._items = None if items is None else frozenset(items)
        self._seen: set[tuple[str, str]] = set()
        self._bought: Counter[tuple[str, str]] = Counter()
        self._given_back: Counter[tuple[str, str]] = Counter()
        self._undone: set[tuple[str, str]] = set()
        self.left_out: Counter[str] = Counter()

    def take(self, event: Event) -> None:
        """A refund without lines undoes its whole order."""
        window = self._windows.get(event.user_id)
        if window is None or not window.from_ms <= event.timestamp_ms < window.until_ms:
            return
        if (event.user_id, event.event_id) in self._seen:
            self.left_out["repeated_events"] += 1
            return
        self._seen.add((event.user_id, event.event_id))
        order = event.user_id, event.transaction_id or event.event_id
        if event.event_name is EventType.REFUND:
            if event.items:
                self._given_back[order] += self._cents(event)
            else:
                self._undone.add(order)
        elif self._items is None or any(line.item_id in self._items for line in event.items):
            self._bought[order] += self._cents(event)

    def spent(self, is_whole: bool = True) -> Spent:
        """What is given back of an order is at most what it cost."""
        money: Counter[str] = Counter()
        orders: Counter[str] = Counter()
        for order, cents in self._bought.items():
            if order not in self._undone:
                money[order[0]] += max(0, cents - self._given_back[order])
                orders[order[0]] += 1
        each = {user: cents / 100 for user, cents in money.items()}
        return Spent(each, dict(orders), dict(self.left_out), is_whole)

    def _cents(self, event: Event) -> int:
        whole = 0
        for line in event.items:
            if self._items is not None and line.item_id not in self._items:
                continue
            if line.price is None:
                self.left_out["lines_without_price"] += 1
            else:
                whole += round(100 * line.price * line.quantity)
        return whole


async def spent_since(
    bootstrap_servers: str,
    topics: Topics,
    windows: Mapping[str, Since],
    now_ms: int,
    items: Collection[str] | None = None,
    advance: Advance = lambda what, done, of: None,
) -> Spent:
    """Read the events from the first window on, and no others.

    Records that are no events count nowhere: the session worker makes dead letters of them.

    Raises:
        BrokerUnavailableError: no broker answers, or it stopped answering.
    """
    purse = Purse(windows, items)
    # Stamped by the broker: a record comes after what it tells of.
    since_ms = min(each.from_ms for each in windows.values()) - MAX_FUTURE_MS
    acts = TopicSince(bootstrap_servers, topics.events.name, since_ms, advance)
    async for records in acts.read():
        for record in records:
            if record.value is None or not any(name in record.value for name in _NAMES):
                continue
            try:
                event = parse_event(record.value, now_ms)
            except InvalidEventError:
                continue
            if event.event_name in (EventType.PURCHASE, EventType.REFUND):
                purse.take(event)
    return purse.spent(acts.is_whole)
