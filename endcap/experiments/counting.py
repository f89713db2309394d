"""From records to what each shopper of an experiment saw, clicked and bought, each counted once.

Nothing is kept between two counts: the topics are the state, and the records of a restarted or
moved producer are those of before (docs/decisions/0030).
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
import xxhash

from endcap.experiments.assignment import variant_in
from endcap.experiments.definition import Experiment
from endcap.experiments.impression import Impression
from endcap.experiments.intervals import Counted


class Shoppers(NamedTuple):
    """Of one variant, by shopper [G]: `shown` lists, those `clicked` on, and 1 for who `bought`."""

    shown: Counted
    bought: Counted

    @property
    def number(self) -> int:
        """G."""
        return int(self.bought.chances.size)


class Found(NamedTuple):
    """`shoppers` by variant; what was left out, by why. `is_whole` False: the topics no longer hold
    all since the start."""

    shoppers: dict[str, Shoppers]
    left_out: dict[str, int]
    is_whole: bool = True


class Counting:
    """Takes impressions, then purchases, in any order of time; `found()` says what came of it.

    About 120 bytes a showing, its shopper included where each sees ten.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._name = experiment.name
        self._known = frozenset(experiment.shares)
        self._since_ms, self._until_ms = experiment.start_ms, experiment.end_ms
        self._shoppers: dict[str, _Shopper] = {}
        self._shown: dict[int, _Shopper] = {}
        """By showing, its shopper."""
        self._clicked: set[int] = set()
        self._clicked_again: Counter[int] = Counter()
        self._left_out: Counter[str] = Counter()

    def impression(self, record: Impression) -> None:
        """A showing or a click on one. A click is of the variant of its showing."""
        showing = _digest(record)
        if record.kind == "clicked":
            if self._since_ms <= record.timestamp_ms:
                if showing in self._clicked:
                    self._clicked_again[showing] += 1
                self._clicked.add(showing)
            return
        variant = variant_in(record.variant, self._name)
        if variant is None or not self._since_ms <= record.timestamp_ms < self._until_ms:
            return
        if showing in self._shown:
            self._left_out["repeated_beacons"] += 1
        elif variant not in self._known:
            self._left_out["unknown_variant"] += 1
        else:
            shopper = self._shoppers.setdefault(record.user_id, _Shopper(variant))
            shopper.see(variant, record.timestamp_ms)
            self._shown[showing] = shopper

    def purchase(self, user_id: str, timestamp_ms: int) -> None:
        """It counts for a shopper who has seen a list of theirs before, while it runs."""
        shopper = self._shoppers.get(user_id)
        if shopper is not None and timestamp_ms < self._until_ms:
            shopper.last_bought_ms = max(shopper.last_bought_ms, timestamp_ms)

    def found(self) -> Found:
        """Who has seen lists of two variants is in neither: nobody can say what worked."""
        left_out = Counter(self._left_out)
        left_out["repeated_beacons"] += sum(
            times for each, times in self._clicked_again.items() if each in self._shown
        )
        clicks = Counter(self._shown[each] for each in self._clicked if each in self._shown)
        rows: dict[str, list[tuple[int, int, bool]]] = {name: [] for name in sorted(self._known)}
        for shopper in self._shoppers.values():
            if shopper.is_mixed:
                left_out["shoppers_of_two_variants"] += 1
                continue
            bought = shopper.last_bought_ms >= shopper.first_ms
            rows[shopper.variant].append((shopper.shown, clicks[shopper], bought))
        return Found({name: _shoppers(of) for name, of in rows.items()}, dict(+left_out))


class _Shopper:
    """What one shopper saw, from the first time on."""

    __slots__ = ("first_ms", "is_mixed", "last_bought_ms", "shown", "variant")

    def __init__(self, variant: str) -> None:
        self.variant = variant
        self.first_ms = 1 << 62
        self.last_bought_ms = 0
        self.shown = 0
        self.is_mixed = False

    def see(self, variant: str, timestamp_ms: int) -> None:
        self.is_mixed |= variant != self.variant
        self.first_ms = min(self.first_ms, timestamp_ms)
        self.shown += 1


def _digest(record: Impression) -> int:
    return xxhash.xxh3_64_intdigest(f"{record.user_id}\0{record.impression_id}".encode())


def _shoppers(rows: list[tuple[int, int, bool]]) -> Shoppers:
    shown, clicked, bought = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return Shoppers(Counted(clicked, shown), Counted(bought, np.ones_like(bought)))
