"""Price proposals in their topic, and approved prices into the catalogue, in one transaction.

One transactional id for all deciders: who starts to decide fences whoever was deciding, so two
people cannot approve and refuse one proposal at once.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
from aiokafka.errors import KafkaError
from prometheus_client import Counter

from endcap.catalogue import CatalogueItem, decode_item, encode_item, is_older
from endcap.errors import BrokerUnavailableError
from endcap.prices import (
    PriceLine,
    PriceProposal,
    PriceProposalError,
    Status,
    clashes,
    decode_proposal,
    encode_proposal,
    step,
)
from endcap.streams.clients import (
    create_topics,
    read_whole,
    started_transactional_producer,
    stop_producer,
    transaction,
    unavailable,
)
from endcap.streams.item_deltas import decode_deltas
from endcap.streams.topic_since import TopicSince
from endcap.topics import Topics

log = logging.getLogger(__name__)

PROPOSALS = Counter(
    "endcap_price_proposals_total", "Price proposals written, by what they became", ["status"]
)
RETRIES = Counter("endcap_price_retries_total", "Decisions that were tried again")
ATTEMPTS = 3
BACK_OFF_S = 0.5
"""Doubled from attempt to attempt."""
DECIDE_S = 30.0
_T = TypeVar("_T")


async def read_proposals(bootstrap_servers: str, topics: Topics) -> list[PriceProposal]:
    """Every proposal as it is now, in the order in which they were made.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    found: dict[str, PriceProposal] = {}
    async with _in_time(bootstrap_servers):
        async for key, one in _decoded(bootstrap_servers, topics.prices.name, decode_proposal):
            if one is None:
                found.pop(key, None)
            else:
                found[key] = one
    return sorted(found.values(), key=lambda one: (one.steps[0].at_ms, one.proposal_id))


async def propose(bootstrap_servers: str, topics: Topics, proposal: PriceProposal) -> None:
    """Publish a proposal; no price changes by it.

    Raises:
        PriceProposalError: its id is taken.
        BrokerUnavailableError: no broker answers.
    """

    async def once() -> None:
        async with _deciding(bootstrap_servers, topics) as producer:
            there = await _find(bootstrap_servers, topics, proposal.proposal_id)
            if there == proposal:
                return  # an attempt whose answer was lost
            if there is not None:
                raise PriceProposalError(f"There is a proposal {proposal.proposal_id} already.")
            await _write(producer, topics, proposal, [])

    await _tried(once)
    PROPOSALS.labels("proposed").inc()


async def decide(
    bootstrap_servers: str,
    topics: Topics,
    proposal_id: str,
    status: Status,
    who: str,
    at_ms: int,
) -> PriceProposal:
    """Approve, refuse or roll back a proposal.

    1. Fence whoever else decides.
    2. Read the proposal, and the catalogue as it is now.
    3. Check that the step is allowed, and that its prices still stand where they stood.
    4. Write the proposal and, on approval and roll-back, the items with their prices, in one
       transaction.

    Raises:
        PriceProposalError: there is none, the step is not allowed, an item has left the catalogue,
            or its price has changed since.
        BrokerUnavailableError: no broker answers; nothing was decided, or all of it.
    """

    async def once() -> PriceProposal:
        async with _deciding(bootstrap_servers, topics) as producer:
            every = await read_proposals(bootstrap_servers, topics)
            found = next((one for one in every if one.proposal_id == proposal_id), None)
            if found is None:
                raise PriceProposalError(
                    f"There is no proposal {proposal_id}. `endcap price proposals` lists them."
                )
            last = found.steps[-1]
            if (last.status, last.who, last.at_ms) == (status, who.strip(), at_ms):
                return found  # an attempt whose answer was lost
            decided = step(found, status, who, at_ms)
            items: list[CatalogueItem] = []
            if status == "approved":
                items = await _priced(bootstrap_servers, topics, found.lines)
            elif status == "rolled_back":
                if changed := clashes(found, every):
                    raise PriceProposalError(
                        f"A later proposal has changed {', '.join(changed[:5])} since; roll that "
                        "one back first."
                    )
                back = [_reversed(line) for line in found.lines]
                items = await _priced(bootstrap_servers, topics, back)
            await _write(producer, topics, decided, items)
            return decided

    decided = await _tried(once)
    PROPOSALS.labels(status).inc()
    return decided


async def catalogue_prices(bootstrap_servers: str, topics: Topics) -> dict[str, float]:
    """What the shop's catalogue says that items cost, by item id.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    async with _in_time(bootstrap_servers):
        items = await _catalogue(bootstrap_servers, topics)
    return {i.item_id: i.price for i in items.values() if i.price is not None}


async def purchases_since(
    bootstrap_servers: str,
    topics: Topics,
    since_ms: int,
    advance: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> dict[str, int]:
    """How many purchases hold each item, by event time from `since_ms` to now, each purchase once.

    Raises:
        BrokerUnavailableError: no broker answers, or it stopped answering.
    """
    counts: dict[str, int] = {}
    newest: dict[tuple[int, int], bool] = {}
    topic = TopicSince(bootstrap_servers, topics.item_deltas.name, since_ms, advance)
    async for records in topic.read():
        for record in records:
            try:
                deltas = decode_deltas(record.value or b"")
            except msgspec.MsgspecError as error:
                log.warning("skipped a malformed record of %s: %s", topics.item_deltas.name, error)
                continue
            for delta in deltas:
                place = (delta.source_partition, delta.source_offset)
                if delta.kind != "purchase" or delta.timestamp_ms < since_ms or place in newest:
                    continue
                newest[place] = True
                for item_id in set(delta.item_ids):
                    counts[item_id] = counts.get(item_id, 0) + 1
    return counts


@asynccontextmanager
async def _deciding(bootstrap_servers: str, topics: Topics) -> AsyncIterator[Any]:
    async with _in_time(bootstrap_servers):
        await create_topics(bootstrap_servers, topics, partitions=4)
        producer = await started_transactional_producer(
            bootstrap_servers, f"{topics.prices.name}-decisions"
        )
        try:
            yield producer
        finally:
            await stop_producer(producer)


@asynccontextmanager
async def _in_time(bootstrap_servers: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(DECIDE_S):
            yield
    except (TimeoutError, KafkaError) as error:
        raise unavailable(bootstrap_servers, error) from error


async def _tried(once: Callable[[], Awaitable[_T]]) -> _T:
    """Again after a pause where the broker did not answer; a decision is known by its step."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await once()
        except BrokerUnavailableError:
            if attempt == ATTEMPTS:
                raise
            RETRIES.inc()
            # Two who fence each other must not come back at the same time.
            await asyncio.sleep(BACK_OFF_S * 2 ** (attempt - 1) * (1 + random.random()))  # noqa: S311
    raise AssertionError("unreachable")


async def _write(
    producer: Any, topics: Topics, proposal: PriceProposal, items: Sequence[CatalogueItem]
) -> None:
    async with transaction(producer):
        sent = [
            await producer.send(
                topics.prices.name, encode_proposal(proposal), key=proposal.proposal_id.encode()
            )
        ]
        for item in items:
            sent.append(
                await producer.send(
                    topics.catalogue.name, encode_item(item), key=item.item_id.encode()
                )
            )
        await asyncio.gather(*sent)


async def _find(bootstrap_servers: str, topics: Topics, proposal_id: str) -> PriceProposal | None:
    every = await read_proposals(bootstrap_servers, topics)
    return next((one for one in every if one.proposal_id == proposal_id), None)


async def _priced(
    bootstrap_servers: str, topics: Topics, lines: Sequence[PriceLine]
) -> list[CatalogueItem]:
    """The items of every store's prices as the catalogue has them, with the new price.

    A price of one store stays in `endcap.prices`: the catalogue has one price an item.
    """
    everywhere = [line for line in lines if not line.store_id]
    if not everywhere:
        return []
    items = await _catalogue(bootstrap_servers, topics)
    priced = []
    for line in everywhere:
        item = items.get(line.item_id)
        if item is None:
            raise PriceProposalError(
                f"The catalogue has no item {line.item_id}, so its price cannot change. Propose "
                "anew without it."
            )
        if item.price is None or abs(item.price - line.old_price) > 0.005:
            raise PriceProposalError(
                f"{line.item_id} costs {item.price}, not {line.old_price:g} as when this was "
                "proposed: nothing was changed. Propose anew from today's prices."
            )
        version = None if item.version is None else item.version + 1
        priced.append(msgspec.structs.replace(item, price=line.new_price, version=version))
    return priced


async def _decoded(
    bootstrap_servers: str, topic: str, decode: Callable[[bytes], _T]
) -> AsyncIterator[tuple[str, _T | None]]:
    """Keys and values of a compacted topic, None for what was deleted; what cannot be read is told
    of and passed over."""
    async for record in read_whole(bootstrap_servers, topic):
        key = (record.key or b"").decode(errors="replace")
        if record.value is None:
            yield key, None
            continue
        try:
            value = decode(record.value)
        except msgspec.MsgspecError as error:
            log.warning("skipped a malformed value of %s: %s", topic, error)
            continue
        yield key, value


async def _catalogue(bootstrap_servers: str, topics: Topics) -> dict[str, CatalogueItem]:
    found: dict[str, CatalogueItem] = {}
    async for key, item in _decoded(bootstrap_servers, topics.catalogue.name, decode_item):
        if item is None:
            found.pop(key, None)
            continue
        held = found.get(key)
        if held is None or not is_older(item.version, held.version):
            found[key] = item
    return found


def _reversed(line: PriceLine) -> PriceLine:
    return PriceLine(line.item_id, line.new_price, line.old_price, line.store_id)
