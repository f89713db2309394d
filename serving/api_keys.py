"""API keys: who may call which route. Only their SHA-256 is ever configured.

A key is 32 random bytes, so one round of SHA-256 keeps it as safe as a slow hash would: there is
nothing to guess. A password would be another matter.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from endcap.errors import SettingsError

Role = Literal["reader", "writer", "privacy", "operator"]

_BY_PREFIX: tuple[tuple[str, Role], ...] = (
    ("/v1/recommendations/", "reader"),
    ("/v1/similar/", "reader"),
    ("/v1/trending", "reader"),
    ("/v1/rescore", "reader"),
    ("/v1/assistant", "reader"),
    ("/v1/events", "writer"),
    ("/v1/impressions", "writer"),
    ("/v1/users/", "privacy"),
    ("/v1/erasures/", "privacy"),
    ("/v1/shoppers", "privacy"),
)
_OPEN = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json", "/office"})
"""Probes carry no key, and the pages and the documentation hold nobody's data."""
_OPEN_BELOW = "/office/page/"
"""The back office asks for a key, and cannot before it is there."""
_INDEXED_BYTES = 8


class KeyRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key as it is configured. `rate_per_s`: its own limit; None: the server's."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    roles: Annotated[tuple[Role, ...], Meta(min_length=1)]
    rate_per_s: Annotated[float, Meta(gt=0)] | None = None


class Key(NamedTuple):
    """A key that was found; `name` is the operator's word for who holds it."""

    name: str
    digest: bytes
    roles: frozenset[Role]
    rate_per_s: float | None


class KeyRing:
    """The known keys, found by a look-up and one comparison in constant time.

    The look-up goes by the first bytes of the digest: whoever measures its time learns of a digest,
    never of a key.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        self._by_digest = {key.digest[:_INDEXED_BYTES]: key for key in keys}

    def __len__(self) -> int:
        return len(self._by_digest)

    def find(self, presented: bytes) -> Key | None:
        """Whose key this is; None: nobody's."""
        digest = hashlib.sha256(presented).digest()
        key = self._by_digest.get(digest[:_INDEXED_BYTES])
        return key if key is not None and hmac.compare_digest(key.digest, digest) else None


def parse_keys(configured: Mapping[str, object]) -> KeyRing:
    """The keys by their names, as a file or the environment has them.

    Raises:
        SettingsError: one has the wrong form; the message names it and what fits.
    """
    keys = []
    for name, fields in configured.items():
        try:
            rules = msgspec.convert(fields, KeyRules)
        except msgspec.ValidationError as error:
            raise SettingsError(
                f"The API key {name} is wrong: {error}. It has `sha256` (64 hexadecimal digits), "
                "`roles` (of reader, writer, privacy, operator) and, if wanted, `rate_per_s`. "
                "`endcap keys new` makes one."
            ) from error
        digest = bytes.fromhex(rules.sha256)
        keys.append(Key(name, digest, frozenset(rules.roles), rules.rate_per_s))
    return KeyRing(keys)


def new_key() -> tuple[str, str]:
    """A key to hand out, and its SHA-256 to configure."""
    key = secrets.token_urlsafe(32)
    return key, hashlib.sha256(key.encode()).hexdigest()


def wanted_role(path: str) -> Role | None:
    """Which role a path asks for; None: everybody may. What is not listed is the operator's.

    >>> wanted_role("/v1/trending"), wanted_role("/metrics"), wanted_role("/healthz")
    ('reader', 'operator', None)
    """
    if path in _OPEN or path.startswith(_OPEN_BELOW):
        return None
    for prefix, role in _BY_PREFIX:
        if path.startswith(prefix):
            return role
    return "operator"
