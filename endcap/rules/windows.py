"""Which rules are in force at a time."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo

from endcap.rules.rule import Rule, Window


def in_force(rules: Iterable[Rule], placement: str, now_ms: int, zone: tzinfo | None) -> list[Rule]:
    """Those of this placement whose window is open."""
    return [
        rule
        for rule in rules
        if (not rule.placements or placement in rule.placements)
        and is_open(rule.window, now_ms, zone or UTC)
    ]


def is_open(window: Window, now_ms: int, zone: tzinfo) -> bool:
    """Whether a time (Unix ms) lies in the window. After midnight an interval that began the day
    before belongs to that day.

    >>> friday_night = Window(days=frozenset({4}), minutes=((22 * 60, 2 * 60),))
    >>> since_a_thursday = (45, 46, 49, 50)
    >>> [is_open(friday_night, hour * 3_600_000, UTC) for hour in since_a_thursday]
    [False, True, True, False]
    """
    if not window.from_ms <= now_ms < window.until_ms:
        return False
    if not window.days and not window.minutes:
        return True
    local = datetime.fromtimestamp(now_ms / 1000, zone)
    minute = local.hour * 60 + local.minute
    today, yesterday = local.weekday(), (local - timedelta(days=1)).weekday()
    for begins, ends in window.minutes or ((0, 24 * 60),):
        if begins < ends:
            day = today if begins <= minute < ends else None
        elif minute >= begins:
            day = today
        else:
            day = yesterday if minute < ends else None
        if day is not None and (not window.days or day in window.days):
            return True
    return False
