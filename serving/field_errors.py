"""Which field of a body is wrong, from what its decoder said."""

import re

from endcap.errors import InvalidEventError
from endcap.serving.problems import FieldError

_FIELDS = {
    "future": "timestamp_ms",
    "no_items": "items",
    "no_transaction_id": "transaction_id",
    "no_anonymous_id": "anonymous_id",
    "propensity": "propensity",
}
"""By the reason, where the sentence is ours and names no path."""
_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`")
_NAMED = re.compile(r"(?:missing required|unknown) field `(?P<name>[^`]*)`")


def field_error(error: InvalidEventError, place: int | None = None) -> FieldError:
    """The error of the one body, or of the element at `place` of an array.

    >>> wrong = "Object missing required field `item_id` - at `$.items[0]`. See the fields."
    >>> field_error(InvalidEventError("schema", wrong), 3)
    FieldError(field='[3].items[0].item_id', reason='Object missing required field `item_id`')
    """
    said = str(error)
    at = _PATH.search(said)
    named = _NAMED.search(said)
    path = at["path"] if at else _FIELDS.get(error.reason, "")
    if named:
        path = f"{path}.{named['name']}" if path else named["name"]
    if place is not None:
        path = f"[{place}]" + (f".{path}" if path else "")
    return FieldError(path, (said[: at.start()] if at else said).partition(". See ")[0])
