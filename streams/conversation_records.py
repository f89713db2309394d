"""Questions and answers as they are kept: written when they were told, read for the back office."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Protocol

import msgspec

from endcap.decoding import decode_with
from endcap.errors import ConnectionFailedError
from endcap.streams.clients import read_whole
from endcap.topics import Topics

log = logging.getLogger(__name__)
MAX_UNWRITTEN = 1_000


class Conversed(msgspec.Struct, frozen=True):
    """A question and its answer. `user_id` is empty where the shopper has not shown who they are;
    `hand_over`: what somebody of the shop needs to go on, where they shall. `cited`: the records
    that the answer rests on, `document en/returns.md#...`, each once."""

    conversation_id: str
    user_id: str
    at_ms: int
    question: str
    kind: str
    intent: str
    confidence: float
    language: str
    text: str
    citations: int
    phrased: bool = False
    hand_over: dict[str, Any] | None = None
    cited: tuple[str, ...] = ()


class Sink(Protocol):
    """Where records go; a `RecordProducer`."""

    async def send_all(self, records: Sequence[tuple[str, bytes]]) -> None:
        """Returns when the broker has them."""
        ...


class ConversationRecords:
    """Writes to the topic `endcap.conversations`, keyed by shopper or conversation.

    A hand-over is waited for: nobody is promised a person who does not hear of it. Other answers
    do not wait; while Kafka is away at most `MAX_UNWRITTEN` wait for it, and the rest is dropped.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._writing: set[asyncio.Task[None]] = set()

    async def keep(self, said: Conversed) -> None:
        """Keep it.

        Raises:
            ConnectionFailedError: a hand-over could not be written.
        """
        if said.hand_over is not None:
            await self._write(said)
        elif len(self._writing) < MAX_UNWRITTEN:
            task = asyncio.create_task(self._try(said))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Wait for what is being written."""
        await asyncio.gather(*self._writing)

    async def _write(self, said: Conversed) -> None:
        key = said.user_id or said.conversation_id
        await self._sink.send_all([(key, msgspec.json.encode(said))])

    async def _try(self, said: Conversed) -> None:
        try:
            await self._write(said)
        except ConnectionFailedError as error:
            log.warning("a conversation is not kept: %s", error)


async def newest_conversations(
    bootstrap_servers: str, topics: Topics, most: int = 100, hand_overs_alone: bool = False
) -> list[dict[str, Any]]:
    """The newest questions and answers, newest first, as JSON values.

    It reads the topic from its beginning: for a page that somebody opens now and then.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    every: list[Conversed] = []
    async for said in _conversed(bootstrap_servers, topics):
        if said.hand_over is not None or not hand_overs_alone:
            every.append(said)
            if len(every) >= 4 * most:  # partitions come one after the other
                every = sorted(every, key=_at)[-most:]
    newest = sorted(every, key=_at)[-most:]
    return [msgspec.to_builtins(said) for said in reversed(newest)]


async def conversations_of(
    bootstrap_servers: str, topics: Topics, ids: Collection[str]
) -> list[dict[str, Any]]:
    """What these shoppers asked and were told, oldest first, as JSON values.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    found = [said async for said in _conversed(bootstrap_servers, topics) if said.user_id in ids]
    return [msgspec.to_builtins(said) for said in sorted(found, key=_at)]


async def _conversed(bootstrap_servers: str, topics: Topics) -> AsyncIterator[Conversed]:
    decoder = msgspec.json.Decoder(Conversed)
    async for record in read_whole(bootstrap_servers, topics.conversations.name):
        try:
            yield decode_with(decoder, record.value or b"")
        except msgspec.MsgspecError as error:
            log.warning("skipped a malformed record of %s: %s", topics.conversations.name, error)


def _at(said: Conversed) -> int:
    return said.at_ms
