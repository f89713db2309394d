"""Sessions of any length as the packed arrays that the encoder takes: no event is padding."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray
from endcap.batches import known_events
from endcap.candidates import Crowd


class Packed(NamedTuple):
    """The encoder's inputs, T events of B sessions one after the other, oldest first.

    `item_vectors` [T, d]; `event_types`, `time_gaps` [T]; `positions`, `rows` [T]: how many events
    stand before it in its session, and which session. `places` [B, L]: of each session its events
    by number from 1, then 0; only attention looks at these. `last` [B]: each session's newest.
    """

    item_vectors: FloatArray
    event_types: npt.NDArray[np.int64]
    time_gaps: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]


class Sorted(NamedTuple):
    """Batches for the encoder, and which shoppers [B] each is of."""

    rows: npt.NDArray[np.intp]
    packed: Packed


def pack(crowd: Crowd, table: FloatArray, max_length: int, bounds: tuple[int, ...]) -> list[Sorted]:
    """Sessions of like length together: those of at most `bounds[0]` events, of at most
    `bounds[1]`, and so on, then the rest. `table` [V + 1, d]: normalised item vectors. Shoppers of
    whom no item is known are in none."""
    known = known_events(crowd, max_length)
    starts = np.cumsum(known.counts) - known.counts
    group = np.searchsorted(bounds, known.counts)
    packed = []
    for number in np.unique(group[known.counts > 0]).tolist():
        rows = np.flatnonzero((group == number) & (known.counts > 0))
        counts = known.counts[rows]
        place = np.arange(int(counts.max()))
        is_event = place < counts[:, None]
        events = (starts[rows, None] + place)[is_event]
        places = np.zeros(is_event.shape, dtype=np.int64)
        places[is_event] = np.arange(1, events.size + 1)
        packed.append(
            Sorted(
                rows,
                Packed(
                    table[known.items[events]],
                    known.types[events].astype(np.int64),
                    known.gaps[events].astype(np.int64),
                    np.broadcast_to(place, is_event.shape)[is_event],
                    np.repeat(np.arange(rows.size), counts),
                    places,
                    np.cumsum(counts) - 1,
                ),
            )
        )
    return packed
