"""How good the lists in Redis are, told by what their shoppers do next.

The rescorer sees both: the list that it made, and at the shopper's next event what they touched
since. A list counts as judged when its shopper touches an item that did not lie in the cart before:
a purchase of what was carted says nothing of the list. It counts as hit when one of these items is
among its first ten. Whether the shopper saw it is not known here (docs/experiments.md counts what
was shown), and who acts on a list that is shown makes it look better than one that is not.

Beside it stand the ten best sellers of the bundle, asked the same: what a list is worth is the
distance to these. What another process made before a rebalance is not judged.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from endcap.bundle import Bundle
from endcap.lists import RecommendationList
from endcap.serving import metrics
from endcap.sessions import Session

TOP = 10
MOST_HELD = 50_000
"""Lists kept for their judgement, about 250 bytes each: the names are the catalogue's own."""
ROUND = 5_000
"""Lists after which the coverage forgets those before the last as many."""


class _Held(NamedTuple):
    first: tuple[str, ...]
    as_of_ms: int


class _Sellers(NamedTuple):
    """Best sellers of a bundle: `ten` stand in for a list, `hundred` are what counts as popular."""

    bundle: Bundle
    ten: frozenset[str]
    hundred: frozenset[str]


class OnlineQuality:
    """Judges the lists of one process. `look` is called from one thread, `forget` from any."""

    def __init__(self, most_held: int = MOST_HELD, round_of: int = ROUND) -> None:
        self._most_held = most_held
        self._round_of = round_of
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._sellers: _Sellers | None = None
        self._now: set[str] = set()
        self._before: set[str] = set()
        self._listed_now = 0
        self._covered = 0
        """Of items in either set: uniting them takes longer than a batch."""
        self._hits = metrics.HITS.labels("endcap")
        self._popular_hits = metrics.HITS.labels("popular")

    def look(
        self,
        sessions: Sequence[Session],
        lists: Mapping[str, RecommendationList],
        bundle: Bundle,
    ) -> None:
        """Judge the lists before by these sessions, and keep these lists for later."""
        sellers = self._sellers_of(bundle)
        judged = hits = popular = empty = listed = listed_popular = 0
        for session in sessions:
            before = self._held.pop(session.user_id, None)
            if before is not None:
                touched = touched_since(session, before.as_of_ms)
                if touched:
                    judged += 1
                    hits += not touched.isdisjoint(before.first)
                    popular += not touched.isdisjoint(sellers.ten)
            ready = lists.get(session.user_id)
            if ready is None:
                continue
            first = tuple([item.id for item in ready.items[:TOP]])
            self._held[session.user_id] = _Held(first, session.updated_ms)
            empty += not first
            listed += len(first)
            listed_popular += len(sellers.hundred.intersection(first))
            self._list(first)
        while len(self._held) > self._most_held:
            self._held.popitem(last=False)
        self._count(judged, hits, popular)
        metrics.LISTS_EMPTY.inc(empty)
        metrics.LISTED.inc(listed)
        metrics.LISTED_POPULAR.inc(listed_popular)
        self._cover(len(lists), bundle)

    def forget(self, user_ids: Sequence[str]) -> None:
        """Shoppers whose session has ended, an erasure among the reasons."""
        for user_id in user_ids:
            self._held.pop(user_id, None)

    def _list(self, first: Sequence[str]) -> None:
        new = set(first) - self._now
        self._covered += len(new - self._before)
        self._now |= new

    def _count(self, judged: int, hits: int, popular: int) -> None:
        if judged:
            metrics.JUDGED.inc(judged)
            self._hits.inc(hits)
            self._popular_hits.inc(popular)

    def _cover(self, lists: int, bundle: Bundle) -> None:
        self._listed_now += lists
        metrics.COVERAGE.set(self._covered / max(1, len(bundle.items)))
        if self._listed_now >= self._round_of:
            self._before, self._now, self._listed_now = self._now, set(), 0
            self._covered = len(self._before)

    def _sellers_of(self, bundle: Bundle) -> _Sellers:
        if self._sellers is None or self._sellers.bundle is not bundle:
            best = [bundle.item(int(index)).item_id for index in bundle.generators.popular]
            self._sellers = _Sellers(bundle, frozenset(best[:TOP]), frozenset(best[:100]))
        return self._sellers


def touched_since(session: Session, as_of_ms: int) -> set[str]:
    """Items that were looked at, chosen, wished for, carted or bought after `as_of_ms`, but for
    those that lay in the cart then."""
    touched: set[str] = set()
    for past in reversed(session.interactions):
        if past.timestamp_ms <= as_of_ms:
            break
        touched.add(past.item_id)
    for carted in reversed(session.carted):
        if carted.added_ms > as_of_ms:
            touched.add(carted.item_id)
        elif carted.removed_ms <= carted.added_ms:
            touched.discard(carted.item_id)
    return touched
