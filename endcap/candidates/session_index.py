"""Past sessions as flat arrays: from an item to the newest sessions with it, and to their items."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.arrays import FloatArray, IntArray

LongArray = npt.NDArray[np.int64]
MOST_RECENT = 500


class SessionIndex(NamedTuple):
    """S sessions over V items. A session's number is its rank by time: a higher one is newer.

    Session `s` holds `session_items[session_offsets[s]:session_offsets[s + 1]]`, oldest first, an
    item that came twice at its last place. `session_times_ms` [S]: the newest event of each. Item
    `i` is in the sessions `item_sessions[item_offsets[i]:item_offsets[i + 1]]`, newest first, of
    which the oldest may have been cut. `item_idf` [V+1]: log(S / sessions with it), uncut; 0 for
    an item that no session holds.
    """

    session_offsets: LongArray
    session_items: IntArray
    session_times_ms: LongArray
    item_offsets: LongArray
    item_sessions: IntArray
    item_idf: FloatArray

    @property
    def n_sessions(self) -> int:
        """S."""
        return self.session_offsets.size - 1


def build_session_index(
    items: npt.NDArray[np.integer],
    sessions: npt.NDArray[np.integer],
    times_ms: npt.NDArray[np.integer],
    n_items: int,
    most_recent: int = MOST_RECENT,
) -> SessionIndex:
    """Index events [N]; within a session they stand in the order in which they happened.

    `sessions`: any numbers, equal within a session. Item 0 is left out. `most_recent`: how many
    sessions an item keeps. A million events take a second or two.
    """
    known = items != 0
    items, sessions, times_ms = items[known], sessions[known], times_ms[known]
    session, session_times_ms = ranked_by_time(sessions, times_ms)
    order = np.argsort(session, kind="stable")
    item, session = items[order].astype(np.int64), session[order]
    last = _last_of_each_pair(item, session, n_items)
    item, session = item[last], session[last]
    counts = np.bincount(item, minlength=n_items + 1)
    # Two keys in one number: by item, and within an item the newest session first.
    n_sessions = session_times_ms.size
    pairs = np.sort(item * n_sessions + (n_sessions - 1 - session))
    by_item, its_session = pairs // max(n_sessions, 1), pairs % max(n_sessions, 1)
    kept = np.arange(pairs.size) - (np.cumsum(counts) - counts)[by_item] < most_recent
    return SessionIndex(
        session_offsets=_offsets(np.bincount(session, minlength=n_sessions)),
        session_items=item.astype(np.int32),
        session_times_ms=session_times_ms,
        item_offsets=_offsets(np.minimum(counts, most_recent)),
        item_sessions=(n_sessions - 1 - its_session[kept]).astype(np.int32),
        item_idf=np.log(
            n_sessions / counts.clip(1), where=counts > 0, out=np.zeros(n_items + 1)
        ).astype(np.float32),
    )


def slices(offsets: LongArray, rows: npt.NDArray[np.integer]) -> tuple[LongArray, LongArray]:
    """Places [n] of all that some rows of a flat array hold, row after row, and how many each."""
    starts = offsets[rows]
    counts = offsets[rows + 1] - starts
    ends = np.cumsum(counts)
    total = int(ends[-1]) if ends.size else 0
    return np.repeat(starts - ends + counts, counts) + np.arange(total), counts


def ranked_by_time(
    sessions: npt.NDArray[np.integer], times_ms: npt.NDArray[np.integer]
) -> tuple[LongArray, LongArray]:
    """Each event's session by rank [N], and each session's newest time [S]."""
    names, session = np.unique(sessions, return_inverse=True)
    newest = np.full(names.size, np.iinfo(np.int64).min, dtype=np.int64)
    np.maximum.at(newest, session, times_ms.astype(np.int64))
    by_time = np.argsort(newest, kind="stable")
    rank = np.empty(names.size, dtype=np.int64)
    rank[by_time] = np.arange(names.size)
    return rank[session], newest[by_time]


def _last_of_each_pair(item: LongArray, session: LongArray, n_items: int) -> LongArray:
    """Places, ascending, at which an item comes for the last time in its session."""
    _, from_the_end = np.unique((session * (n_items + 1) + item)[::-1], return_index=True)
    return np.sort(item.size - 1 - from_the_end)


def _offsets(counts: LongArray) -> LongArray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
