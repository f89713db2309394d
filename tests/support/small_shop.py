"""Interactions and questions from plain lists, for tests that work them out by hand."""

import numpy as np

from endcap.events import EventType
from endcap.export.data.interactions import Cases, Interactions

VIEW = EventType.VIEW_ITEM.code


def interactions(
    sequences: list[list[int]],
    times_ms: list[list[int]] | None = None,
    sessions: list[list[int]] | None = None,
    event_type: int = VIEW,
) -> Interactions:
    """Items of each sequence; by default each is one session, and events are a second apart."""
    lengths = [len(sequence) for sequence in sequences]
    items = np.array([item for sequence in sequences for item in sequence], dtype=np.int32)
    own = np.repeat(np.arange(len(sequences)), lengths)
    return Interactions(
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        items=items,
        types=np.full(items.size, event_type, dtype=np.int8),
        times_ms=np.arange(items.size, dtype=np.int64) * 1000
        if times_ms is None
        else np.array([t for sequence in times_ms for t in sequence], dtype=np.int64),
        sessions=own.astype(np.int32)
        if sessions is None
        else np.array([s for sequence in sessions for s in sequence], dtype=np.int32),
    )


def last_of_each(events: Interactions) -> Cases:
    """What comes last in each sequence? Asked at the time of the event before it."""
    ends = events.offsets[1:] - 1
    return Cases(
        interactions=events,
        sequences=np.arange(events.n_sequences, dtype=np.int32),
        ends=ends,
        now_ms=events.times_ms[ends - 1],
        target_offsets=np.arange(ends.size + 1, dtype=np.int64),
        targets=events.items[ends],
    )
