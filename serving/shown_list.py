"""A ready list as HTTP shows it: what lies in Redis, with the facts of its items."""

import importlib.util
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import UNSET, UnsetType

from endcap.serving.facts import Facts

if importlib.util.find_spec("endcap.serving.native_rows"):
    from endcap.serving.native_rows import row_ids, with_tails
else:  # installed without a C compiler: every list is decoded, at a third of the rate

    def row_ids(raw: bytes) -> list[str] | None:
        """None: not found without decoding."""
        return None

    def with_tails(head: bytes, raw: bytes, tails: dict[str, bytes]) -> bytes | None:
        """None: not joined without decoding."""
        return None


MAX_AGE_S = 10.0
MAX_ITEMS = 100_000


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


class FactsReader(Protocol):
    """Where facts of items are read."""

    async def facts(self, ids: Sequence[str]) -> list[Facts]:
        """Of several items, in their order."""
        ...


class ItemFacts:
    """Facts of items as they were at most `MAX_AGE_S` ago, of at most about `MAX_ITEMS`.

    All are forgotten at once: an age for each would cost more than what reading them again does.
    """

    def __init__(self, reader: FactsReader, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock
        self._known: dict[str, Facts] = {}
        self._tails: dict[str, bytes] = {}
        self._since = clock()

    async def of(self, ids: Sequence[str]) -> Mapping[str, Facts]:
        """A mapping that holds these ids, and maybe others."""
        self._forget()
        known, tails = self._known, self._tails
        missing = [item_id for item_id in ids if item_id not in known]
        if missing:
            for item_id, facts in zip(missing, await self._reader.facts(missing), strict=True):
                known[item_id] = facts
                tails[item_id] = _tail(facts)
        return known

    def tails(self) -> dict[str, bytes]:
        """What is known, as it stands in JSON at the end of an item's row."""
        self._forget()
        return self._tails

    def _forget(self) -> None:
        now = self._clock()
        if now - self._since > MAX_AGE_S or len(self._known) > MAX_ITEMS:
            self._known, self._tails, self._since = {}, {}, now


_decoder = msgspec.json.Decoder(ReadyList)
_encoder = msgspec.json.Encoder()


def read_ready(raw: bytes) -> ReadyList:
    """A list as it lies in Redis, without the facts of its items.

    Raises:
        msgspec.ValidationError: the value is not a list of ours.
    """
    return _decoder.decode(raw)


async def show(source: str, raw: bytes, facts: ItemFacts) -> bytes:
    """The JSON of a `ShownList`, from that of a list in Redis.

    Raises:
        msgspec.ValidationError: the value is not a list of ours.
    """
    body = with_tails(b'{"source":"%s",' % source.encode(), raw, facts.tails())
    if body is not None:
        return body
    ready = _decoder.decode(raw)
    return _joined(source, ready, await facts.of([item.id for item in ready.items]))


def shown(source: str, raw: bytes, known: Mapping[str, Facts]) -> bytes:
    """The same, where what is shown of its items is at hand."""
    return _joined(source, _decoder.decode(raw), known)


def without_item(body: bytes, item_id: str) -> bytes:
    """An answer without one of its items."""
    answer = msgspec.json.decode(body, type=ShownList)
    answer.items = [item for item in answer.items if item.id != item_id]
    return _encoder.encode(answer)


class _Tail(msgspec.Struct):
    title: str | UnsetType
    category: str | UnsetType
    price: float | UnsetType | None


def _tail(facts: Facts) -> bytes:
    fields = _encoder.encode(_Tail(*facts))[1:-1]
    return b"," + fields if fields else b""


def _joined(source: str, ready: ReadyList, known: Mapping[str, Facts]) -> bytes:
    for item in ready.items:
        item.title, item.category, item.price = known[item.id]
    return _encoder.encode(
        ShownList(
            source, ready.version, ready.model, ready.generated_at, ready.items, ready.variant
        )
    )
