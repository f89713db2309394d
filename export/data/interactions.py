"""What shoppers did, as flat arrays; and the questions of an evaluation, as places in them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import IntArray
from endcap.catalogue import CatalogueItem

LongArray = npt.NDArray[np.int64]
SmallArray = npt.NDArray[np.int8]


class Interactions(NamedTuple):
    """Events of S sequences (shoppers, or sessions where nobody is known), each in time order.

    Sequence `s` holds the events `offsets[s]` to `offsets[s + 1]`. `items` [N]: item indexes from
    1; 0 for an item outside the vocabulary. `types` [N]: codes of `EventType`. `times_ms` [N]:
    Unix milliseconds, or, where a data set has no times, numbers that rise in its order.
    `sessions` [N]: the visit that an event belongs to; rises within a sequence, and no two
    sequences share one. What one purchase held has one time and one session.
    """

    offsets: LongArray
    items: IntArray
    types: SmallArray
    times_ms: LongArray
    sessions: IntArray

    @property
    def n_sequences(self) -> int:
        """S."""
        return self.offsets.size - 1


class Cases(NamedTuple):
    """Questions: what comes after event `ends[i] - 1` of sequence `sequences[i]`?

    The history of case `i` is `interactions`, from `offsets[sequences[i]]` up to, not including,
    `ends[i]`. `now_ms` [n]: the time of the question. The answers to it are
    `targets[target_offsets[i]:target_offsets[i + 1]]`, item indexes; 0 stands for an item that
    neither training nor the shop's catalogue knows: nobody can answer it, and it counts.
    """

    interactions: Interactions
    sequences: IntArray
    ends: LongArray
    now_ms: LongArray
    target_offsets: LongArray
    targets: IntArray

    @property
    def size(self) -> int:
        """n."""
        return self.ends.size

    def starts(self) -> LongArray:
        """Where each history begins [n]."""
        return self.interactions.offsets[self.sequences]

    def take(self, rows: "npt.NDArray[np.intp]") -> "Cases":
        """Some of the questions, in the order of `rows`."""
        counts = np.diff(self.target_offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        places = np.repeat(self.target_offsets[rows] - offsets[:-1], counts) + np.arange(
            offsets[-1]
        )
        return Cases(
            self.interactions,
            self.sequences[rows],
            self.ends[rows],
            self.now_ms[rows],
            offsets,
            self.targets[places],
        )


class Cuts(NamedTuple):
    """Where validation and test begin, in the unit of `times_ms`; what happens at or after one
    belongs to it."""

    validation_from: int
    test_from: int


class DataSet(NamedTuple):
    """A shop: what happened, and what it sells. Item index i is `items[i - 1]`.

    `sequence_ids` [S]: the shopper's (or session's) own name. `facts`: where the data came from
    and what was left out, for the manifest and the report. `cuts`: where a published split has its
    own. `offered`: indexes of the items that the shop's own file of items names, whatever events
    say of them; empty where there is none.
    """

    name: str
    interactions: Interactions
    sequence_ids: tuple[str, ...]
    items: tuple[CatalogueItem, ...]
    facts: dict[str, str]
    cuts: Cuts | None = None
    offered: IntArray = np.empty(0, dtype=np.int32)


class Split(NamedTuple):
    """What may be learned from, and what is asked.

    `train` holds no event that `validation` asks for or that happened after its questions began;
    what is chosen, is chosen on `validation`. `known` holds `train` and what else may be known
    before the first question of `test`: the final fit. In `leave-one-out` it equals `train`, as the
    SASRec family has it.
    """

    protocol: str
    train: Interactions
    validation: Cases
    known: Interactions
    test: Cases


def first_events(interactions: Interactions, until: LongArray) -> Interactions:
    """A copy with the events of each sequence `s` before place `until[s]` alone; all sequences
    stay, some perhaps empty, so that their numbers stay."""
    starts = interactions.offsets[:-1]
    counts = np.clip(until, starts, interactions.offsets[1:]) - starts
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    places = np.repeat(starts - offsets[:-1], counts) + np.arange(offsets[-1])
    return Interactions(
        offsets,
        interactions.items[places],
        interactions.types[places],
        interactions.times_ms[places],
        interactions.sessions[places],
    )
