"""What msgspec says of a wrong field, with what is wanted instead."""

import re
from collections.abc import Iterable, Mapping

from endcap.near_names import did_you_mean

EARLIEST_MS = 946_684_800_000
"""2000-01-01. What lies before it was meant in seconds, or its clock was never set."""

_ENUM = re.compile(r"Invalid enum value '(?P<name>.*)' - at `\$(?P<path>.*)`", re.DOTALL)
_SHOWN = 50
_ALSO_CALLED = {"click": "select_item", "buy": "purchase", "order": "purchase"}


def in_words(error: Exception, choices: Mapping[str, Iterable[str]]) -> str:
    """The error's sentence, without a full stop. `choices`: what a field may be, by its name.

    It ends with the path, as msgspec's does: whoever names the field reads it there.

    >>> error = Exception("Invalid enum value 'click' - at `$.kind`")
    >>> in_words(error, {"kind": ["shown", "clicked"]})
    "'click' is not known. Did you mean clicked? It is one of shown, clicked - at `$.kind`"
    """
    said = str(error)
    bound, at, path = said.rpartition(" - at ")
    if bound.endswith(f">= {EARLIEST_MS}"):
        return (
            "timestamp_ms lies before the year 2000: it is in milliseconds since 1970, not in "
            f"seconds. Check the producer's unit and its clock{at}{path}"
        )
    found = _ENUM.fullmatch(said)
    choice = list(choices.get(found["path"].rpartition(".")[2], ())) if found else []
    if not found or not choice:
        return said
    name = found["name"][:_SHOWN]
    other = _ALSO_CALLED.get(name)
    near = f" Did you mean {other}?" if other in choice else did_you_mean(name, choice)
    return f"{name!r} is not known.{near} It is one of {', '.join(choice)}{at}{path}"
