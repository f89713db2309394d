"""How facts are written: money and days, in the language of the answer."""

from datetime import date

from endcap.assistant.question import Language

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def money(amount: float, currency: str) -> str:
    """An amount with two digits: the currency's sign before it, a name behind it.

    >>> money(4.5, "$"), money(1234.5, "EUR")
    ('$4.50', '1,234.50 EUR')
    """
    return f"{amount:,.2f} {currency}" if currency.isalpha() else f"{currency}{amount:,.2f}"


def a_day(day: date, language: Language) -> str:
    """A day as people write it.

    >>> a_day(date(2017, 12, 3), "en"), a_day(date(2017, 12, 3), "zh")
    ('3 December 2017', '2017年12月3日')
    """
    if language == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
