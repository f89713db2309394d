"""Which days a question is about: "last month", "since 3 May", "上周", in UTC."""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from endcap.assistant.small_words import HAN_NUMBERS, NUMBER_WORDS

_DAY_MS = 86_400_000
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAME = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]*"
_UNIT_DAYS = {
    "day": 1,
    "week": 7,
    "month": 30,
    "天": 1,
    "日": 1,
    "周": 7,
    "星期": 7,
    "个月": 30,
    "月": 30,
}


class Period(NamedTuple):
    """From the first day to the last, both within."""

    first: date
    last: date

    def holds(self, at_ms: int) -> bool:
        """Whether a moment lies in it."""
        return self.first <= day_of(at_ms) <= self.last


def day_of(at_ms: int) -> date:
    """The day of a moment, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).date()


def find_period(text: str, now_ms: int) -> Period | None:
    """The first period that the text names; None where it names none.

    >>> now = int(datetime(2018, 1, 1, 12, tzinfo=UTC).timestamp() * 1000)
    >>> [str(d) for d in find_period("what did I buy last month?", now)]
    ['2017-12-01', '2017-12-31']
    >>> [str(d) for d in find_period("我上周买了什么", now)]
    ['2017-12-25', '2017-12-31']
    """
    said, today = text.lower(), day_of(now_ms)
    for find in (_exact, _last_days, _month, _named):
        found = find(said, today)
        if found is not None:
            since = re.search(r"\bsince\b|以来|以后|开始到现在", said) is not None
            return Period(found.first, max(today, found.first)) if since else found
    return None


def _named(said: str, today: date) -> Period | None:
    monday = today - timedelta(days=today.weekday())
    first = today.replace(day=1)
    before = first - timedelta(days=1)
    year = today.year
    ways: list[tuple[str, Period]] = [
        (r"day before yesterday|前天", _days(today - timedelta(days=2))),
        (r"\byesterday\b|昨天|昨日", _days(today - timedelta(days=1))),
        (r"\btoday\b|今天|今日", _days(today)),
        (r"\blast week\b|上周|上个?星期|上个?礼拜", _days(monday - timedelta(days=7), 7)),
        (r"\bthis week\b|这周|本周|这个?星期", Period(monday, today)),
        (r"\b(last|previous) month\b|上个?月", Period(before.replace(day=1), before)),
        (r"\bthis month\b|这个?月|本月", Period(first, today)),
        (r"\blast year\b|去年", Period(date(year - 1, 1, 1), date(year - 1, 12, 31))),
        (r"\bthis year\b|今年", Period(date(year, 1, 1), today)),
    ]
    for pattern, period in ways:
        if re.search(pattern, said):
            return period
    return None


def _last_days(said: str, today: date) -> Period | None:
    found = re.search(
        r"\b(?:last|past)\s+(\d+|one|two|three|four|five|six|seven|eight|nine|ten)\s+"
        r"(day|week|month)s?\b",
        said,
    ) or re.search(
        r"(?:最近|过去|近)\s*(\d+|[一二三四五六七八九十两])\s*(天|日|周|星期|个月|月)", said
    )
    if found is None:
        return None
    word, unit = found.groups()
    count = int(word) if word.isdigit() else (NUMBER_WORDS | HAN_NUMBERS)[word]
    days = min(count, 1200) * _UNIT_DAYS[unit]
    return Period(today - timedelta(days=max(days - 1, 0)), today)


def _exact(said: str, today: date) -> Period | None:
    iso = re.search(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b", said)
    if iso:
        return _a_day(int(iso[1]), int(iso[2]), int(iso[3]))
    han = re.search(r"(?:(\d{4})年)?(\d{1,2})月(\d{1,2})[日号]", said)
    if han:
        return _recent_day(han[1], int(han[2]), int(han[3]), today)
    day_first = re.search(
        rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH_NAME}(?:\s+(\d{{4}}))?", said
    )
    if day_first:
        return _recent_day(day_first[3], _number(day_first[2]), int(day_first[1]), today)
    month_first = re.search(
        rf"\b{_MONTH_NAME}\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(\d{{4}}))?", said
    )
    if month_first:
        return _recent_day(month_first[3], _number(month_first[1]), int(month_first[2]), today)
    return None


def _month(said: str, today: date) -> Period | None:
    """ "May" is a month only behind a word that says so."""
    english = re.search(rf"\b(?:in|since|during|of|for)\s+{_MONTH_NAME}\b(?:\s+(\d{{4}}))?", said)
    if english:
        return _a_month(_number(english[1]), english[2], today)
    han = re.search(r"(?:(\d{4})年)?(\d{1,2}|十[一二]?|[一二三四五六七八九])月(?!\d)", said)
    if han:
        number = int(han[2]) if han[2].isdigit() else HAN_NUMBERS[han[2]]
        before = str(today.year - 1) if "去年" in said else None
        return _a_month(number, han[1] or before, today)
    return None


def _a_month(month: int, year: str | None, today: date) -> Period | None:
    if not 1 <= month <= 12:
        return None
    of = int(year) if year else today.year - (month > today.month)
    return _days(date(of, month, 1), monthrange(of, month)[1])


def _recent_day(year: str | None, month: int, day: int, today: date) -> Period | None:
    """Without a year, the newest such day that is not to come."""
    found = _a_day(int(year) if year else today.year, month, day)
    if found is not None and not year and found.first > today:
        return _a_day(today.year - 1, month, day)
    return found


def _a_day(year: int, month: int, day: int) -> Period | None:
    try:
        return _days(date(year, month, day))
    except ValueError:
        return None  # 31 February names no day


def _days(first: date, count: int = 1) -> Period:
    return Period(first, first + timedelta(days=count - 1))


def _number(name: str) -> int:
    return _MONTHS.index(name[:3]) + 1
