"""A ready list as HTTP shows it: what lies in Redis, with the facts of its items."""

import importlib.util
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET, UnsetType

IS_BUILT = importlib.util.find_spec("endcap.serving.native_rows") is not None
"""False after an installation without a C compiler: then every list is decoded."""
if IS_BUILT:
    from endcap.serving import native_rows as native


class ShownItem(msgspec.Struct, gc=False):
    """A row of the answer; it is read from Redis without its facts. `propensity`: with which chance
    it was put there, where the list says so."""

    id: str
    score: float
    reason: str
    propensity: float | UnsetType = UNSET
    title: str | UnsetType = UNSET
    category: str | UnsetType = UNSET
    price: float | UnsetType | None = UNSET


class ReadyList(msgspec.Struct, gc=False):
    """A list as it lies in Redis, to be shown. `variant`: of an experiment, where it says so."""

    version: int
    model: str
    generated_at: int
    items: list[ShownItem]
    variant: str | UnsetType = UNSET


class ShownList(msgspec.Struct, gc=False):
    """The answer. `source`: `own`, or which fallback."""

    source: str
    version: int
    model: str
    generated_at: int
    items: list[ShownItem]
    variant: str | UnsetType = UNSET


class _Rows(msgspec.Struct, gc=False):
    """A `ShownList` whose rows are written already."""

    source: str
    version: int
    model: str
    generated_at: int
    items: list[msgspec.Raw]
    variant: str | UnsetType


_decoder = msgspec.json.Decoder(ReadyList)
_encoder = msgspec.json.Encoder()


def read_ready(raw: bytes) -> ReadyList:
    """A list as it lies in Redis, without the facts of its items.

    Raises:
        msgspec.ValidationError: the value is not a list of ours.
    """
    return _decoder.decode(raw)


def row_ids(raw: bytes) -> Sequence[str]:
    """The ids of a list's items, in their order.

    Raises:
        msgspec.ValidationError: the value is not a list of ours.
    """
    ids = native.row_ids(raw) if IS_BUILT else None
    return ids if ids is not None else [item.id for item in _decoder.decode(raw).items]


def shown(source: str, raw: bytes, tails: Mapping[str, bytes]) -> bytes:
    """The JSON of a `ShownList`, from that of a list in Redis and `tail_of` each of its items.

    Raises:
        msgspec.ValidationError: the value is not a list of ours.
    """
    ready = _decoder.decode(raw)
    rows = [msgspec.Raw(_encoder.encode(item)[:-1] + tails[item.id] + b"}") for item in ready.items]
    return _encoder.encode(
        _Rows(source, ready.version, ready.model, ready.generated_at, rows, ready.variant)
    )


def without_item(body: bytes, item_id: str) -> bytes:
    """An answer without one of its items."""
    answer = msgspec.json.decode(body, type=ShownList)
    answer.items = [item for item in answer.items if item.id != item_id]
    return _encoder.encode(answer)
