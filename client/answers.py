"""What a caller gets."""

from typing import Literal, NamedTuple

import msgspec

from endcap.lists import ListItem

Source = Literal["own", "similar", "category", "trending", "none"]
"""Which list it is: the shopper's own, what goes with the last item, what trends in the category,
what trends for everybody; or none of them."""


class Answer(msgspec.Struct, frozen=True):
    """A list, best first, and where it is from.

    `version`, `model`, `generated_at` (Unix milliseconds) and `variant` are the list's own; 0 and
    "" where `source` is `none`. `variant` says which lists of which experiments these are, "" of
    none: send it back with impressions, as the `propensity` of the items. `problem` says, in a
    sentence, why a better list could not be read; "" where nothing went wrong.
    """

    source: Source
    items: tuple[ListItem, ...] = ()
    version: int = 0
    model: str = ""
    generated_at: int = 0
    problem: str = ""
    variant: str = ""


class Observation(NamedTuple):
    """One read, for a metric. It holds no id, so each field may be a label.

    `what`: `list` or `items`. `source`: of the list; "" for items. `error`: the name of the error
    that was raised or is the answer's `problem`; "" for none. `tries`: round trips, 1 when all
    is well.
    """

    what: Literal["list", "items"]
    source: Source | Literal[""]
    error: str
    tries: int = 1
    seconds: float = 0.0
