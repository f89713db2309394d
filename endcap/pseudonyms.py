"""Pseudonymous ids: a keyed hash in place of a shopper's id, made at the door.

HMAC-SHA256 (RFC 2104) with a secret of the shop's own: who has no secret cannot go from id to
pseudonym, and nobody goes back but by hashing all ids that they know. Without the key a hash would
be none: ids are few (Article 29 Working Party, Opinion 05/2014, 4.1).
"""

import base64
import hashlib
import hmac
from collections.abc import Callable

import msgspec

from endcap.errors import SettingsError
from endcap.events import Event

LEAST_SECRET = 16
MARK = "~"
"""Begins each pseudonym: what is one already stays as it is, however many doors it passes."""
_PURPOSE = b"endcap pseudonym 1\0"
_LETTERS = 43


def pseudonym(secret: str, user_id: str) -> str:
    """The same for the same secret and id, at every door.

    >>> once = pseudonym("a secret of the shop", "1364")
    >>> len(once), once == pseudonym("a secret of the shop", once)
    (44, True)
    """
    if user_id.startswith(MARK) and len(user_id) == _LETTERS + len(MARK):
        return user_id
    digest = hmac.new(secret.encode(), _PURPOSE + user_id.encode(), hashlib.sha256).digest()
    return MARK + base64.urlsafe_b64encode(digest).decode().rstrip("=")


Naming = Callable[[str], str]
"""From an id as it comes to the one that is kept."""


def naming(secret: str) -> Naming | None:
    """By this secret; None where there is none: ids are kept as they come.

    Raises:
        SettingsError: it is too short to be one.
    """
    if not secret:
        return None
    if len(secret) < LEAST_SECRET:
        raise SettingsError(
            f"pseudonym_secret has {len(secret)} characters: at least {LEAST_SECRET}, such as "
            '`python -c "import secrets; print(secrets.token_urlsafe(32))"` prints.'
        )
    return lambda user_id: pseudonym(secret, user_id)


def renamed(event: Event, name: Naming) -> Event:
    """The event of a shopper, and of a device, under other names."""
    device = event.anonymous_id
    return msgspec.structs.replace(
        event, user_id=name(event.user_id), anonymous_id=None if device is None else name(device)
    )
