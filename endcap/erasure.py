"""A person's request to be forgotten, on its way through the keepers of their data.

All of it lies in the topic `endcap.erasures`, one live record a step: the request, until the
session is gone; the sweep of what lies elsewhere, until that is gone; then the receipts and the
registry alone, which name nobody.
"""

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from endcap.decoding import decode_with

_MARK = "\0"
"""No user id begins with it: the keys of requests are user ids."""


class Request(msgspec.Struct, frozen=True, tag="request"):
    """Somebody wants `user_id` erased. The record's key is the user id."""

    request_id: str
    user_id: str


class Sweep(msgspec.Struct, frozen=True, tag="sweep"):
    """The session is gone; dead letters and lists are next."""

    request_id: str
    user_id: str


class Erased(msgspec.Struct, frozen=True, tag="erased"):
    """Events of this person up to `until_ms` (event time) are folded no more."""

    digest: str
    until_ms: int


class Receipt(msgspec.Struct, frozen=True, tag="receipt"):
    """What a keeper removed: counts by kind. It names nobody."""

    request_id: str
    keeper: str
    removed: Mapping[str, int]
    at_ms: int


ErasureRecord = Request | Sweep | Erased | Receipt
_decoder: msgspec.json.Decoder[ErasureRecord] = msgspec.json.Decoder(ErasureRecord)


def encode_erasure(record: ErasureRecord) -> tuple[bytes, bytes]:
    """Key and JSON value for the topic `endcap.erasures`."""
    return erasure_key(record), msgspec.json.encode(record)


def erasure_key(record: ErasureRecord) -> bytes:
    """The key whose tombstone ends the record."""
    match record:
        case Request(user_id=user_id):
            key = user_id
        case Sweep(request_id=request_id):
            key = f"{_MARK}sweep:{request_id}"
        case Erased(digest=digest):
            key = f"{_MARK}erased:{digest}"
        case Receipt(request_id=request_id, keeper=keeper):
            key = f"{_MARK}receipt:{request_id}:{keeper}"
    return key.encode()


def decode_erasure(raw: bytes) -> ErasureRecord:
    """The inverse of `encode_erasure`, of the value.

    Raises:
        msgspec.MsgspecError: the record is not one of ours.
    """
    return decode_with(_decoder, raw)


def understood(raw: bytes | None) -> ErasureRecord | None:
    """The record; None for a tombstone, and for rubbish, of which the session worker makes a dead
    letter."""
    try:
        return decode_erasure(raw) if raw else None
    except msgspec.MsgspecError:
        return None


class Registry:
    """Who was erased, and up to when, without their names.

    `secret` keeps a reader of the topic from trying names: the digests are keyed by it (BLAKE2b,
    RFC 7693).
    """

    def __init__(self, secret: str = "") -> None:
        self._key = blake2b(secret.encode(), digest_size=32).digest()
        self._until_ms: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._until_ms)

    def entry(self, user_id: str, until_ms: int) -> Erased:
        """What to write of an erasure."""
        digest = blake2b(user_id.encode(), key=self._key, digest_size=16).hexdigest()
        return Erased(digest, until_ms)

    def add(self, entry: Erased) -> None:
        """Keep an entry; an older one of the same person changes nothing."""
        known_ms = self._until_ms.get(entry.digest, 0)
        self._until_ms[entry.digest] = max(known_ms, entry.until_ms)

    def until_ms(self, user_id: str) -> int:
        """Up to which event time this person is forgotten; -1: they are not."""
        if not self._until_ms:
            return -1
        return self._until_ms.get(self.entry(user_id, 0).digest, -1)
