"""What sells now: weighted counts per item and hour, over the last week of event time.

An hour is old by the newest event, not by the clock on the wall: replayed events trend as well.
"""

import heapq
from collections.abc import Iterable, Mapping

HOUR_MS = 3_600_000
SPAN_H = 168
RECENT_H = 24
WEIGHTS: Mapping[str, int] = {"view": 1, "cart": 2, "purchase": 4}
"""By the `kind` of an item delta. Quantities do not count: 24 tins are one shopper's choice."""

ItemWindow = Mapping[str, int]
"""Hours since 1970, as JSON keys must be strings, to the weight in that hour. Never changed."""


def add(window: ItemWindow, timestamp_ms: int, weight: int, span_h: int = SPAN_H) -> ItemWindow:
    """The window with one more act in it, less the hours that fell out of the span.

    The result does not depend on the order of the adds: only the newest hour decides what stays.

    >>> add({"0": 4}, HOUR_MS, 2)
    {'0': 4, '1': 2}
    """
    hour = timestamp_ms // HOUR_MS
    newest = max([hour, *map(int, window)])
    hours = {**window, str(hour): window.get(str(hour), 0) + weight}
    return {key: count for key, count in hours.items() if int(key) > newest - span_h}


def watermark(windows: Iterable[ItemWindow]) -> int:
    """The last millisecond of the newest hour that anything happened in; 0 without any."""
    newest = max((int(hour) for window in windows for hour in window), default=-1)
    return max(0, (newest + 1) * HOUR_MS - 1)


def score(window: ItemWindow, watermark_ms: int, span_h: int = SPAN_H) -> int:
    """The weight in the `span_h` hours up to the watermark."""
    oldest = watermark_ms // HOUR_MS - span_h
    return sum(count for hour, count in window.items() if int(hour) > oldest)


def top(windows: Mapping[str, ItemWindow], watermark_ms: int, n: int) -> list[tuple[str, int]]:
    """The `n` best items with their scores, best first; of equals the lower id comes first."""
    scored = ((item_id, score(window, watermark_ms)) for item_id, window in windows.items())
    return heapq.nsmallest(n, (row for row in scored if row[1] > 0), key=lambda r: (-r[1], r[0]))


def reason(window: ItemWindow, watermark_ms: int) -> str:
    """Why the item is shown: "right now" only where the last day holds half of its weight."""
    recent = score(window, watermark_ms, RECENT_H)
    return "popular right now" if 2 * recent >= score(window, watermark_ms) else "popular this week"
