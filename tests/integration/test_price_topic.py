"""Proposed prices on a real broker: nothing changes before approval, and there is a way back."""

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from awaited import until
from command_line import endcap, endcap_json, settings_for
from made_up_weeks import made_up_weeks

from endcap.catalogue import CatalogueItem, decode_item, encode_item
from endcap.deploy.local_stack import LocalStack
from endcap.prices import PriceLine, PriceProposal, PriceProposalError, Step
from endcap.pricing.evidence_file import write_evidence
from endcap.pricing.panel import panel_of
from endcap.pricing.substitutes import substitution
from endcap.pricing.suggest import gather_evidence
from endcap.streams.clients import create_topics, read_whole
from endcap.streams.item_deltas import ItemDelta, encode_deltas
from endcap.streams.price_topic import (
    catalogue_prices,
    decide,
    propose,
    purchases_since,
    read_proposals,
)
from endcap.topics import Topics, topics_with_prefix

pytestmark = pytest.mark.integration
T = TypeVar("T")


@pytest.fixture
async def topics(stack: LocalStack, producer: AIOKafkaProducer) -> Topics:
    """A shop of three items; one of them has a version."""
    made = topics_with_prefix(f"t{uuid4().hex[:8]}")
    await create_topics(stack.bootstrap_servers, made, 1)
    for item in (
        CatalogueItem("a", "Coffee", "COFFEE", price=2.00, version=7),
        CatalogueItem("b", "Beans", "COFFEE", price=3.00),
        CatalogueItem("c", "Milk", "DAIRY", price=1.00),
    ):
        await producer.send_and_wait(
            made.catalogue.name, encode_item(item), key=item.item_id.encode()
        )
    return made


def proposal(name: str, *lines: PriceLine) -> PriceProposal:
    return PriceProposal(name, "COFFEE", lines, (Step("proposed", "ann", 1),))


async def now_cost(at: str, topics: Topics, wanted: dict[str, float]) -> None:
    """The marker that ends a transaction is written behind the answer to its commit: who decided
    knows of it before readers do."""

    async def look() -> bool:
        return await catalogue_prices(at, topics) == wanted

    await until(look, f"the prices {wanted}")


async def now_are(at: str, topics: Topics, wanted: dict[str, str]) -> None:
    """Proposals; see `now_cost`."""

    async def look() -> bool:
        every = await read_proposals(at, topics)
        return {one.proposal_id: one.status for one in every} == wanted

    await until(look, f"the proposals {wanted}")


async def test_prices_reach_the_catalogue_on_approval_and_go_back_on_roll_back(
    stack: LocalStack, topics: Topics
) -> None:
    at = stack.bootstrap_servers
    first = proposal("p1", PriceLine("a", 2.00, 2.19), PriceLine("b", 3.00, 2.79))
    await propose(at, topics, first)
    assert await catalogue_prices(at, topics) == {"a": 2.0, "b": 3.0, "c": 1.0}
    approved = await decide(at, topics, "p1", "approved", "ben", 2)
    assert [(one.status, one.who) for one in approved.steps] == [
        ("proposed", "ann"),
        ("approved", "ben"),
    ]
    await now_cost(at, topics, {"a": 2.19, "b": 2.79, "c": 1.0})
    newest = {
        record.key: decode_item(record.value)
        async for record in read_whole(at, topics.catalogue.name)
    }
    assert newest[b"a"].version == 8
    assert newest[b"a"].title == "Coffee"
    assert newest[b"b"].version is None
    await propose(at, topics, proposal("p2", PriceLine("a", 2.19, 2.29)))
    await decide(at, topics, "p2", "approved", "ben", 3)
    with pytest.raises(PriceProposalError, match="later proposal has changed a"):
        await decide(at, topics, "p1", "rolled_back", "ann", 4)
    await decide(at, topics, "p2", "rolled_back", "ann", 5)
    await decide(at, topics, "p1", "rolled_back", "ann", 6)
    await now_cost(at, topics, {"a": 2.0, "b": 3.0, "c": 1.0})
    await now_are(at, topics, {"p1": "rolled_back", "p2": "rolled_back"})


async def test_what_cannot_be_approved_changes_nothing(stack: LocalStack, topics: Topics) -> None:
    at = stack.bootstrap_servers
    before = await catalogue_prices(at, topics)
    await propose(at, topics, proposal("old", PriceLine("a", 1.50, 1.59), PriceLine("b", 3, 2.9)))
    await propose(at, topics, proposal("gone", PriceLine("zz", 1.0, 1.1)))
    await propose(at, topics, proposal("no", PriceLine("a", 2.0, 2.1)))
    await decide(at, topics, "no", "refused", "ben", 2)
    for name, says in (
        ("old", "not 1.5 as when"),
        ("gone", "no item zz"),
        ("no", "was refused by ben"),
        ("never", "no proposal never"),
    ):
        with pytest.raises(PriceProposalError, match=says):
            await decide(at, topics, name, "approved", "ben", 3)
    with pytest.raises(PriceProposalError, match="proposal no already"):
        await propose(at, topics, proposal("no", PriceLine("b", 3.0, 3.1)))
    assert await catalogue_prices(at, topics) == before


async def test_of_two_who_decide_at_once_one_is_told_so(stack: LocalStack, topics: Topics) -> None:
    at = stack.bootstrap_servers
    await propose(at, topics, proposal("p", PriceLine("a", 2.00, 2.19)))

    async def outcome(what: Awaitable[T]) -> T | str:
        try:
            return await what
        except PriceProposalError as error:
            return str(error)

    said = await asyncio.gather(
        outcome(decide(at, topics, "p", "approved", "ben", 2)),
        outcome(decide(at, topics, "p", "refused", "cat", 3)),
    )
    assert sum(isinstance(one, str) for one in said) == 1
    (decided,) = [one for one in said if not isinstance(one, str)]
    await now_are(at, topics, {"p": decided.status})
    (now,) = await read_proposals(at, topics)
    assert len(now.steps) == 2
    a = 2.19 if now.status == "approved" else 2.0
    await now_cost(at, topics, {"a": a, "b": 3.0, "c": 1.0})


async def test_demand_is_purchases_of_the_window_each_once(
    stack: LocalStack, topics: Topics, producer: AIOKafkaProducer
) -> None:
    now = int(time.time() * 1000)
    deltas = [
        ItemDelta(0, 1, "purchase", now - 1000, ("a", "b", "a")),
        ItemDelta(0, 2, "view", now - 900, ("a",)),
        ItemDelta(0, 3, "purchase", now - 800, ("a",)),
        ItemDelta(1, 3, "purchase", now - 800, ("b",)),
        ItemDelta(0, 4, "purchase", now - 86_400_000, ("a",)),
    ]
    for raw in [*encode_deltas(deltas), *encode_deltas(deltas[:1])]:
        await producer.send_and_wait(topics.item_deltas.name, raw)
    found = await purchases_since(stack.bootstrap_servers, topics, now - 60_000)
    assert found == {"a": 2, "b": 2}


async def test_the_commands_decide_and_list(stack: LocalStack, topics: Topics) -> None:
    settings = settings_for(stack, topics.prices.name.removesuffix(".prices"))
    await propose(stack.bootstrap_servers, topics, proposal("p", PriceLine("a", 2.00, 2.19)))
    decided = await asyncio.to_thread(
        endcap_json, "price", "approve", "p", "--who", "ben", "--json", **settings
    )
    assert decided["status"] == "approved"
    again = await asyncio.to_thread(endcap, "price", "refuse", "p", "--who", "cat", **settings)
    assert again.returncode == 1
    assert "was approved by ben" in again.stderr
    listed = await asyncio.to_thread(endcap_json, "price", "proposals", "--json", **settings)
    assert [one["status"] for one in listed["proposals"]] == ["approved"]


async def test_a_suggestion_of_live_demand_waits_for_approval_then_costs_so(
    stack: LocalStack, topics: Topics, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    panel = panel_of(made_up_weeks(items=6, weeks=24))
    write_evidence(tmp_path / "e.npz", gather_evidence(panel, substitution(panel)))
    for item in panel.items:
        made = CatalogueItem(item.item_id, item.title, item.category, price=3.05)
        await producer.send_and_wait(
            topics.catalogue.name, encode_item(made), key=item.item_id.encode()
        )
    now = int(time.time() * 1000)
    (raw,) = encode_deltas([ItemDelta(0, 1, "purchase", now - 1000, ("i00", "i01"))])
    await producer.send_and_wait(topics.item_deltas.name, raw)
    settings = settings_for(stack, topics.prices.name.removesuffix(".prices"))
    words = ("--category", "coffee", "--evidence", tmp_path / "e.npz", "--live", "--apply")
    found = await asyncio.to_thread(
        endcap_json, "price", "suggest", *words, "--who", "ann", "--json", **settings
    )
    assert found["live"]["purchases"] == 2
    assert {row["price_today"] for row in found["items"]} == {3.05}
    before = await catalogue_prices(stack.bootstrap_servers, topics)
    assert before["i00"] == 3.05
    name = found["proposal"]["proposal_id"]
    await decide(stack.bootstrap_servers, topics, name, "approved", "ben", now)
    after = await catalogue_prices(stack.bootstrap_servers, topics)
    assert {i: p for i, p in after.items() if p != before[i]} == {
        one["item_id"]: one["new_price"] for one in found["proposal"]["prices"]
    }
