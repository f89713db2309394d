"""How many shoppers a batch should hold at most, found on the machine that will serve them."""

import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice

from endcap.bundle import Bundle
from endcap.events import EventType
from endcap.sessions import Interaction, Purchased, Session

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
LONGEST_S = 0.015
"""Who comes while a batch is scored waits for all of it."""
_NEARLY = 0.85
_TURNS = 3
_LENGTHS = (1, 2, 3, 5, 8, 1, 4, 20, 2, 50)
"""Most sessions are short."""
_VIEW = EventType.VIEW_ITEM.code


def calibrated_batch(
    rescore: Callable[[Sequence[Session]], object],
    sessions: Sequence[Session],
    sizes: Sequence[int] = SIZES,
    longest_s: float = LONGEST_S,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """The smallest batch within 15 % of the best rate, of those that take `longest_s` at most.

    Each size is scored a few times, of which the quickest counts: others use the machine too. The
    first call of a graph plans its memory and counts nowhere. The least of `sizes` is returned
    where even that takes longer.
    """
    rates: dict[int, float] = {}
    for size in sizes:
        batch = list(islice(cycle(sessions), size))
        rescore(batch)
        took = min(_seconds(rescore, batch, clock) for _ in range(_TURNS))
        if took > longest_s:
            break
        rates[size] = size / max(took, 1e-9)
    best = max(rates.values(), default=0.0)
    return min((size for size, rate in rates.items() if rate >= _NEARLY * best), default=sizes[0])


def warm_up_sessions(bundle: Bundle, count: int = SIZES[-1]) -> list[Session]:
    """Made-up shoppers of the bundle's own items, some with purchases, of realistic lengths."""
    items = [item.item_id for item in bundle.items]
    return [_shopper(items, number, _LENGTHS[number % len(_LENGTHS)]) for number in range(count)]


def _shopper(items: Sequence[str], number: int, length: int) -> Session:
    met = [items[(number * 37 + step * 11) % len(items)] for step in range(length)]
    when = range(1_700_000_000_000, 1_700_000_000_000 + 60_000 * length, 60_000)
    bought = (Purchased(item, 1, when[0], when[0], 1.0) for item in sorted(set(met[::2])))
    return Session(
        f"warm-up-{number}",
        tuple(Interaction(item, _VIEW, at) for item, at in zip(met, when, strict=True)),
        purchased=tuple(bought),
        events_folded=length,
        updated_ms=when[-1],
    )


def _seconds(
    rescore: Callable[[Sequence[Session]], object],
    batch: Sequence[Session],
    clock: Callable[[], float],
) -> float:
    started = clock()
    rescore(batch)
    return clock() - started
