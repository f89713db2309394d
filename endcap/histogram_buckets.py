"""Bounds of classic histograms, in one place: what is compared is counted between the same ones.

Plain numbers in seconds or pieces, so that every room may have them. Why classic: decision 38.
"""

_MILLISECONDS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 65, 80, 100, 130, 160, 200)
_ON = (0.25, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60)

UP_TO_A_FIFTH_S = tuple(ms / 1000 for ms in _MILLISECONDS)
"""1 to 200 ms."""
UP_TO_A_MINUTE_S = (*UP_TO_A_FIFTH_S, *_ON)
"""1 ms to 60 s: what an event waits for."""
FROM_A_TENTH_MS_S = (0.0001, 0.0003, *UP_TO_A_MINUTE_S)
"""0.1 ms to 60 s: parts of that, and calls of a store."""
UP_TO_A_WEEK_S = (1, 5, 15, 60, 300, 900, *(hours * 3600 for hours in (1, 3, 6, 12, 24, 72, 168)))
"""1 s to 7 days, how long a list lies in Redis at most: ages of lists."""
EVENT_AGE_S = (*UP_TO_A_MINUTE_S, 300, 900, 3600, 6 * 3600, 86_400)
"""1 ms to a day: an event may have waited for as long as a worker was away."""
