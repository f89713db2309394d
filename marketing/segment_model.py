"""From a shopper's session to their segment, by what was learned from all shoppers' sessions."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from endcap.errors import DataError
from endcap.events import EventType
from endcap.marketing.lifetime_value import (
    BgNbd,
    GammaGamma,
    History,
    chance_away,
    expected_spend,
    expected_visits,
    longest_gap,
)
from endcap.segments import Affinity, Segment, Tier
from endcap.sessions import Interaction, Purchased, Session

DAY_MS = 86_400_000
WINDOW_DAYS = 91
"""Older visits are forgotten by sessions too often to be counted."""
SOON_DAYS, YEAR_DAYS = 28, 365
LAPSING, LAPSED = (0.1, 7), (0.01, 28)
"""A silence that a shopper still there keeps with this chance only, and at least these days."""
_AFFINITIES = 5
_PURCHASE = EventType.PURCHASE.code


class ItemFacts(msgspec.Struct, frozen=True, array_like=True):
    """Of an item as it was sold: median price, share of sales at a discount, what it is."""

    price: float
    discount_share: float
    category: str
    brand: str


class SegmentModel(msgspec.Struct, frozen=True):
    """Learned by `endcap segments build`; a JSON file that names nobody.

    `value_cuts`: upper bounds of the low and the middle tier; `discount_cut`: upper quartile of
    `discount_share`.
    """

    visits: BgNbd
    spend: GammaGamma
    value_cuts: tuple[float, float]
    discount_cut: float
    items: dict[str, ItemFacts]
    learned_from: str = ""
    shoppers: int = 0


class Remembered(NamedTuple):
    """What a session tells of visits to the till: times in order, of the last `WINDOW_DAYS` before
    the last of them; and money a visit, over the last `baskets` of them."""

    times_ms: tuple[int, ...]
    baskets: int
    spend_per_visit: float


def remembered(session: Session, items: Mapping[str, ItemFacts]) -> Remembered | None:
    """None: nothing was bought.

    A session keeps the first and the last purchase of each of its last items, and its newest
    purchases one by one: of the visits of 91 days it has nineteen in twenty, of a year's fewer
    (docs/campaigns.md).
    """
    single = [each for each in session.interactions if each.type_code == _PURCHASE]
    times = {time for each in session.purchased for time in (each.first_ms, each.last_ms)}
    times |= {each.timestamp_ms for each in single}
    if not times:
        return None
    from_ms = max(times) - WINDOW_DAYS * DAY_MS
    return Remembered(
        tuple(sorted(time for time in times if time >= from_ms)), *_baskets(single, items)
    )


def _baskets(single: Sequence[Interaction], items: Mapping[str, ItemFacts]) -> tuple[int, float]:
    """How many of the newest are whole, and what they cost on average: the oldest one may have been
    cut off, and counts only where there is no other."""
    costs: dict[int, float] = {}
    for each in single:
        facts = items.get(each.item_id)
        costs[each.timestamp_ms] = costs.get(each.timestamp_ms, 0.0) + (facts.price if facts else 0)
    if len(costs) > 1:
        del costs[min(costs)]
    return len(costs), math.fsum(costs.values()) / len(costs) if costs else 0.0


def history_of(found: Sequence[Remembered], now_ms: int) -> History:
    """As the model of visits wants it; several visits of one day count once, as in its source."""
    days = [sorted({time // DAY_MS for time in each.times_ms}) for each in found]
    first = np.array([each[0] for each in days], np.float64)
    last = np.array([each[-1] for each in days], np.float64) - first
    return History(
        np.array([len(each) - 1.0 for each in days]),
        last,
        np.maximum(now_ms // DAY_MS - first, last),
    )


def segment_of(session: Session, model: SegmentModel, now_ms: int, version: int) -> Segment | None:
    """None: the shopper never bought anything, and marketing has no segment for them."""
    found = remembered(session, model.items)
    if found is None:
        return None
    history = history_of([found], now_ms)
    repeats, last = int(history.repeats[0]), float(history.last[0])
    visits = repeats + 1
    worth = float(
        expected_spend(
            model.spend, np.array([float(found.baskets)]), np.array([found.spend_per_visit])
        )[0]
    )
    value = worth * float(expected_visits(model.visits, history, YEAR_DAYS)[0])
    first_ms, last_ms = found.times_ms[0], found.times_ms[-1]
    at_discount = discount_share(session, model.items)
    known = [
        (each, model.items[each.item_id])
        for each in session.purchased
        if each.item_id in model.items
    ]
    return Segment(
        version,
        now_ms,
        visits,
        first_ms,
        last_ms,
        round(found.spend_per_visit * visits, 2),
        round(worth, 2),
        round(float(expected_visits(model.visits, history, SOON_DAYS)[0]), 3),
        round(float(chance_away(model.visits, history, SOON_DAYS)[0]), 4),
        round(value, 2),
        _tier(value, model.value_cuts),
        *_lapses_ms(model, repeats, last, last_ms),
        round(at_discount, 4),
        at_discount > model.discount_cut,
        _shares([(each, facts.category) for each, facts in known], session.updated_ms),
        _shares([(each, facts.brand) for each, facts in known], session.updated_ms),
    )


def read_model(raw: bytes, name: str) -> SegmentModel:
    """The inverse of `encode_model`; `name` is what the message calls it.

    Raises:
        DataError: it is no segment model.
    """
    try:
        return msgspec.json.decode(raw, type=SegmentModel)
    except msgspec.MsgspecError as error:
        raise DataError(
            f"{name} is no segment model ({error}). Make one: endcap segments build"
        ) from error


def encode_model(model: SegmentModel) -> bytes:
    """JSON."""
    return msgspec.json.encode(model)


def _lapses_ms(model: SegmentModel, repeats: int, last: float, last_ms: int) -> tuple[int, int]:
    """When a shopper who does not come again is lapsing, and lapsed. By each one's own rhythm: who
    came daily is missed after a week."""
    lapsing, lapsed = (
        last_ms + int(max(least, longest_gap(model.visits, repeats, last, chance)) * DAY_MS)
        for chance, least in (LAPSING, LAPSED)
    )
    return lapsing, max(lapsing, lapsed)


def _tier(value: float, cuts: tuple[float, float]) -> Tier:
    if value <= cuts[0]:
        return "low"
    return "middle" if value <= cuts[1] else "high"


def discount_share(session: Session, items: Mapping[str, ItemFacts]) -> float:
    """Of what the session remembers as bought, how often these items sell at a discount."""
    bought = [(each.times, items.get(each.item_id)) for each in session.purchased]
    known = [(times, facts.discount_share) for times, facts in bought if facts is not None]
    total = sum(times for times, _ in known)
    return math.fsum(times * share for times, share in known) / total if total else 0.0


def _shares(named: Sequence[tuple[Purchased, str]], now_ms: int) -> tuple[Affinity, ...]:
    """The largest, by decayed counts: habits of last spring weigh less than this month's."""
    sums: dict[str, float] = {}
    for each, name in named:
        if name:
            sums[name] = sums.get(name, 0.0) + each.decayed_at(now_ms)
    total = math.fsum(sums.values())
    best = sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))[:_AFFINITIES]
    return tuple(Affinity(name, round(value / total, 4)) for name, value in best)
