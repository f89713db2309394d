"""A number with its noun, for what people read."""


def counted(number: int, one: str, many: str = "") -> str:
    """The number and the noun in the form that goes with it; `many` is `one` with an s unless said.

    >>> counted(1, "trial"), counted(2500, "trial"), counted(0, "query", "queries")
    ('1 trial', '2,500 trials', '0 queries')
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
