"""What a shopper has refused is not stored: `consent: denied`, looked for before all else.

The check comes before validation: an event that is wrong in another way as well must not end as a
dead letter, which would store it.
"""

import re
from collections.abc import Mapping
from typing import Any

from endcap.errors import ConsentDeniedError

DENIED = "denied"
_IN_JSON = re.compile(rb'"consent"\s*:\s*(?:"denied"|false\b)', re.IGNORECASE)
_SEGMENT_CATEGORIES = frozenset({"analytics", "personalization"})


def refuse_denied(raw: bytes | None) -> None:
    """Look at JSON as it came, also where it is cut or wrong.

    >>> refuse_denied(b'{"consent": "granted"}')

    `false` is a refusal as well, as in a decoded record: it must not end as a dead letter.

    Raises:
        ConsentDeniedError: somewhere in it consent is denied.
    """
    if raw is not None and b"onsent" in raw and _IN_JSON.search(raw):
        raise ConsentDeniedError


def refuse_denied_row(row: Mapping[str, Any]) -> None:
    """Look at a decoded record, of whatever format: `consent`, and Segment's consent preferences
    (https://segment.com/docs/privacy/consent-management/consent-in-segment-connections/), of which
    `Analytics` and `Personalization` count.

    Raises:
        ConsentDeniedError: it is denied.
    """
    said = row.get("consent")
    if said is False or str(said).lower() == DENIED:
        raise ConsentDeniedError
    context = row.get("context")
    consent = context.get("consent") if isinstance(context, Mapping) else None
    preferences = consent.get("categoryPreferences") if isinstance(consent, Mapping) else None
    if isinstance(preferences, Mapping) and any(
        str(name).lower() in _SEGMENT_CATEGORIES and allowed is False
        for name, allowed in preferences.items()
    ):
        raise ConsentDeniedError
