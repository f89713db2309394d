"""Real baskets as events: a history imported shopper by shopper, the held-out weeks in time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from endcap.deploy.earlier_prices import earlier_prices
from endcap.events import Event
from endcap.export.basket_events import Basket, baskets, cart_event, purchase_event
from endcap.export.completejourney import HELD_OUT_START, brands, epoch_ms, load_purchases
from endcap.lists import RecommendationList
from endcap.sessions import Session, fold_all
from endcap.streams.event_producer import EventProducer

K = 10
_TICK_S = 0.02
_WEEK_MS = 7 * 86_400_000


class Shop(NamedTuple):
    """The baskets before the held-out weeks and those within, each in time order; by item what it
    cost before, and its brand."""

    history: list[Basket]
    held_out: list[Basket]
    earlier_prices: Mapping[str, float] = {}
    brands: Mapping[str, str] = {}


class Progress:
    """Counts of a running replay; hits are of slates read before the basket began."""

    def __init__(self) -> None:
        self.sent = 0
        self.baskets = 0
        self.judged = 0
        self.hits = 0
        self.popularity_hits = 0

    def hit_rate(self) -> float:
        """Share of judged baskets with an item of the shopper's own first ten."""
        return self.hits / self.judged if self.judged else 0.0

    def popularity_hit_rate(self) -> float:
        """The same baskets judged by the ten most bought items."""
        return self.popularity_hits / self.judged if self.judged else 0.0


def load_shop(replayed: int | None = None) -> Shop:
    """The baskets of Complete Journey up to the last one replayed, cut where the held-out weeks
    start; `replayed` is how many of those are wanted, all where it is None.

    Times are moved by whole weeks so that the last basket lies within the past week: a click on
    the storefront today then follows the replayed purchases, as it would in a shop.
    """
    cut = epoch_ms(HELD_OUT_START)
    lines = load_purchases().lines
    every = list(baskets(lines))
    history = [basket for basket in every if basket.timestamp_ms < cut]
    held_out = [basket for basket in every if basket.timestamp_ms >= cut][:replayed]
    last = (held_out or history)[-1]
    weeks = (int(time.time() * 1000) - last.timestamp_ms) // _WEEK_MS
    return Shop(_later(history, weeks), _later(held_out, weeks), earlier_prices(lines), brands())


def _later(every: Sequence[Basket], weeks: int) -> list[Basket]:
    by_ms = weeks * _WEEK_MS
    return [basket._replace(timestamp_ms=basket.timestamp_ms + by_ms) for basket in every]


def events_of(basket: Basket) -> list[Event]:
    """One add_to_cart a line, then the purchase."""
    lines = range(len(basket.item_ids))
    return [*(cart_event(basket, line) for line in lines), purchase_event(basket)]


def by_shopper(history: Iterable[Basket]) -> list[Basket]:
    """Shopper by shopper, each in time order: one snapshot each instead of one a basket."""
    return sorted(history, key=lambda basket: (basket.user_id, basket.timestamp_ms))


def purchase_sessions(history: Iterable[Basket]) -> list[Session]:
    """Each shopper's session after these baskets, by user id."""
    folded = fold_all(purchase_event(basket) for basket in by_shopper(history))
    return [folded[user_id] for user_id in sorted(folded)]


async def import_history(
    history: Sequence[Basket],
    producer: EventProducer,
    on_sent: Callable[[int], None],
    stopping: Callable[[], bool],
) -> int:
    """Send each basket as its purchase; returns how many events the broker has acknowledged."""
    waiting: list[Awaitable[Any]] = []
    for number, basket in enumerate(by_shopper(history), start=1):
        waiting.append(await producer.enqueue(purchase_event(basket)))
        if len(waiting) == 2000 or number == len(history):
            await asyncio.gather(*waiting)
            waiting.clear()
            on_sent(number)
            if stopping():
                return number
    return len(history)


async def replay_baskets(
    held_out: Sequence[Basket],
    producer: EventProducer,
    read_many: Callable[[Sequence[str]], Awaitable[list[RecommendationList | None]]],
    popular: Sequence[str],
    rate: float,
    progress: Progress,
    stopping: Callable[[], bool],
) -> None:
    """Send baskets at `rate` events a second; before each, judge the list its shopper has.

    A shopper without a list of their own is judged by the popular items, as a page would show
    them: nobody is left out of the figure.
    """
    started, next_basket = time.perf_counter(), 0
    pending: list[Awaitable[Any]] = []
    popular_ten = list(popular[:K])
    while next_basket < len(held_out) and not stopping():
        due = (time.perf_counter() - started) * rate - progress.sent
        first = next_basket
        while next_basket < len(held_out) and due > 0 and next_basket - first < 200:
            due -= len(held_out[next_basket].item_ids) + 1
            next_basket += 1
        chosen = held_out[first:next_basket]
        if chosen:
            slates = await read_many([basket.user_id for basket in chosen])
            for basket, ready in zip(chosen, slates, strict=True):
                _judge(basket, ready, popular_ten, progress)
                for event in events_of(basket):
                    pending.append(await producer.enqueue(event))
                    progress.sent += 1
                progress.baskets += 1
        if len(pending) > 5000:
            await asyncio.gather(*pending)
            pending.clear()
        await asyncio.sleep(_TICK_S)
    await asyncio.gather(*pending)


def _judge(
    basket: Basket, ready: RecommendationList | None, popular: list[str], progress: Progress
) -> None:
    bought = set(basket.item_ids)
    slate = [item.id for item in ready.items[:K]] if ready else popular
    progress.judged += 1
    progress.hits += not bought.isdisjoint(slate)
    progress.popularity_hits += not bought.isdisjoint(popular)
