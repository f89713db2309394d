"""Another bundle while events flow: swapped, refused, tried unseen, and back."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from awaited import until
from command_line import Ended, endcap, settings_for
from other_bundle import damaged_bundle, other_bundle
from own_valkey import OwnValkey
from rescoring import rescoring
from serve_process import ServeProcess

from endcap.bundle import load_bundle, read_manifest
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.settings import DEMO_BUNDLE, Settings
from endcap.lists import RecommendationList
from endcap.policy import Policy
from endcap.serving import metrics
from endcap.serving.calibration import warm_up_sessions
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.redis_store import RedisStore
from endcap.serving.rescorer import rescore
from endcap.sessions import Session
from endcap.streams.clients import create_topics
from endcap.timeline import Snapshot, Timeline, encode_snapshot

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

DEMO = read_manifest(DEMO_BUNDLE).name


@cache
def shoppers() -> list[Session]:
    return warm_up_sessions(load_bundle(DEMO_BUNDLE))


class SwappingShop:
    """A rescorer as its process wires it, with a store of its own and a flow of new shoppers."""

    def __init__(self, stack: LocalStack, producer: AIOKafkaProducer, folder: Path) -> None:
        self.valkey = OwnValkey(folder)
        self.folder = folder
        self.models_file = folder / "models.json"
        self.environment = settings_for(stack, f"t{uuid4().hex[:8]}") | {
            "ENDCAP_REDIS_URL": self.valkey.url,
            "ENDCAP_MODELS_FILE": str(self.models_file),
        }
        self.settings = Settings(
            kafka_bootstrap_servers=stack.bootstrap_servers,
            redis_url=self.valkey.url,
            topic_prefix=self.environment["ENDCAP_TOPIC_PREFIX"],
            models_file=self.models_file,
            data_dir=folder,
        )
        self.store = RedisStore(self.valkey.url)
        self.came: dict[str, Session] = {}
        self._producer = producer
        self._numbers = count()

    def rescoring(self) -> AbstractAsyncContextManager[None]:
        return rescoring(self.settings)

    @asynccontextmanager
    async def flow(self) -> AsyncIterator[None]:
        """New shoppers until the end of the block: as many as are served, some always waiting."""
        is_over = asyncio.Event()

        async def come() -> None:
            while not is_over.is_set():
                await self.served(await self.visits(5))

        coming = [asyncio.create_task(come()) for _ in range(4)]
        try:
            yield
        finally:
            is_over.set()
            await asyncio.gather(*coming)

    async def visits(self, number: int) -> list[str]:
        """So many shoppers who have not been here yet; their ids."""
        batch = self._producer.create_batch()
        users: list[str] = []
        for place in [next(self._numbers) for _ in range(number)]:
            one = shoppers()[place % len(shoppers())]
            session = msgspec.structs.replace(one, user_id=f"shopper-{place}")
            raw = encode_snapshot(Snapshot(Timeline(session), 0, place, 0))
            assert batch.append(key=session.user_id.encode(), value=raw, timestamp=None)
            self.came[session.user_id] = session
            users.append(session.user_id)
        topic = self.settings.topics.sessions.name
        await (await self._producer.send_batch(batch, topic, partition=0))
        return users

    async def lists(self, users: Iterable[str]) -> dict[str, RecommendationList]:
        asked = list(users)
        held = await self.store.read_many(asked)
        return {user: ready for user, ready in zip(asked, held, strict=True) if ready}

    async def served(self, users: Iterable[str]) -> dict[str, RecommendationList]:
        asked = list(users)

        async def all_there() -> bool:
            return len(await self.lists(asked)) == len(asked)

        await until(all_there, "a list for everybody")
        return await self.lists(asked)

    async def model_of_a_new_list(self) -> str:
        (ready,) = (await self.served(await self.visits(1))).values()
        return ready.model

    async def until_lists_are_of(self, model: str) -> None:
        async def new_ones_are() -> bool:
            return await self.model_of_a_new_list() == model

        await until(new_ones_are, f"a list of {model}")

    async def models(self, *words: object) -> Ended:
        return await asyncio.to_thread(
            endcap, "models", *words, cwd=self.folder, **self.environment
        )

    async def change(self, *words: object) -> None:
        ended = await self.models(*words)
        assert ended.returncode == 0, ended.stderr


@pytest.fixture
async def shop(
    stack: LocalStack, producer: AIOKafkaProducer, tmp_path: Path
) -> AsyncIterator[SwappingShop]:
    opened = SwappingShop(stack, producer, tmp_path)
    await create_topics(stack.bootstrap_servers, opened.settings.topics, 1)
    yield opened
    await opened.store.close()
    await asyncio.to_thread(opened.valkey.stop)


def swaps(outcome: str) -> float:
    return float(metrics.MODEL_SWAPS.labels(outcome)._value.get())


def shown_of(ready: RecommendationList) -> list[tuple[str, Any]]:
    return [(item.id, pytest.approx(item.score, abs=2e-4)) for item in ready.items]


def are_each_wholly_of_their_model(
    came: dict[str, Session], lists: dict[str, RecommendationList], folders: dict[str, Path]
) -> None:
    """Each list is what the bundle that it names makes of the session, scores included."""
    for name, folder in folders.items():
        bundle = load_bundle(folder)
        scorer = OnnxScorer(bundle, threads=1)
        users = [user for user, ready in lists.items() if ready.model == name]
        for at in range(0, len(users), 64):
            sessions = [came[user] for user in users[at : at + 64]]
            for user, ready in rescore(sessions, bundle, scorer, Policy()).items():
                found = [(item.id, item.score) for item in lists[user].items]
                assert found == shown_of(ready), user


async def test_a_swap_and_a_way_back_under_way_lose_no_list_and_mix_none(
    shop: SwappingShop,
) -> None:
    spring = other_bundle(shop.folder / "spring", "spring")
    swapped, refused = swaps("swapped"), swaps("refused")
    async with shop.rescoring():
        assert await shop.model_of_a_new_list() == DEMO
        async with shop.flow():
            await shop.change("use", spring)
            await shop.until_lists_are_of("spring")
            later = await shop.visits(20)
            await shop.change("rollback")
            await shop.until_lists_are_of(DEMO)
        last = await shop.visits(20)
        lists = await shop.served(shop.came)
    assert {lists[user].model for user in last} == {DEMO}
    assert {lists[user].model for user in later} == {"spring"}
    assert len(lists) == len(shop.came)
    are_each_wholly_of_their_model(shop.came, lists, {DEMO: DEMO_BUNDLE, "spring": spring})
    assert (swaps("swapped") - swapped, swaps("refused") - refused) == (2, 0)


async def test_a_damaged_bundle_named_by_hand_leaves_the_old_one_in_place(
    shop: SwappingShop, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = damaged_bundle(shop.folder / "damaged")
    spring = other_bundle(shop.folder / "spring", "spring")
    async with shop.rescoring():
        assert await shop.model_of_a_new_list() == DEMO
        for text, says in (
            (f'{{"current": {{"bundle": "{damaged}"}}}}', "generators.npz is not the file"),
            ("{ not JSON", "does not say which models to run"),
        ):
            refused = swaps("refused")
            shop.models_file.write_text(text)

            async def is_refused(before: float = refused) -> bool:
                return swaps("refused") == before + 1

            await until(is_refused, "a refusal")
            assert says in caplog.text
            assert await shop.model_of_a_new_list() == DEMO
        shop.models_file.unlink()
        await shop.change("use", spring)
        await shop.until_lists_are_of("spring")
        shop.models_file.unlink()
        await shop.until_lists_are_of(DEMO)  # without the file the setting holds


async def test_a_shadow_is_compared_and_writes_nothing(shop: SwappingShop) -> None:
    spring = other_bundle(shop.folder / "spring", "spring")

    def compared() -> float:
        return float(metrics.SHADOW_LISTS.labels("compared")._value.get())

    async def cast(is_on: bool) -> None:
        async def share_is() -> bool:
            return metrics.SHADOW_SHARE._value.get() == float(is_on)

        await until(share_is, "the shadow")

    async with shop.rescoring():
        await shop.served(await shop.visits(5))
        await shop.change("shadow", spring, "--share", 1)
        await cast(True)
        before = compared()
        users = await shop.visits(30)
        lists = await shop.served(users)

        async def all_compared() -> bool:
            return compared() == before + len(users)

        await until(all_compared, "every comparison")
        assert {ready.model for ready in lists.values()} == {DEMO}
        assert await shop.lists(users) == lists
        assert metrics.SHADOW_OVERLAP._sum.get() < compared()  # another model names others
        await shop.change("shadow", "--off")
        await cast(False)
        before = compared()
        await shop.served(await shop.visits(5))
        assert compared() == before
    are_each_wholly_of_their_model(shop.came, lists, {DEMO: DEMO_BUNDLE})


async def test_requests_are_answered_by_either_model_while_it_is_swapped_and_tried_unseen(
    shop: SwappingShop,
) -> None:
    spring = other_bundle(shop.folder / "spring", "spring")
    bundles = {"demo": load_bundle(DEMO_BUNDLE), "spring": load_bundle(spring)}
    viewed = bundles["demo"].item(3).item_id
    event = {"item_id": viewed, "event_name": "view_item", "timestamp_ms": 1_700_000_000_000}
    server = await asyncio.to_thread(
        ServeProcess, shop.folder, shop.environment | {"ENDCAP_HTTP_RESCORE": "true"}
    )
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:

            async def answer() -> tuple[str, ...]:
                found = await client.post("/v1/rescore", json={"events": [event]})
                assert found.status_code == 200, found.text
                return tuple(row["id"] for row in found.json()["items"])

            first = await answer()
            seen = {first}
            changing = asyncio.create_task(shop.change("use", spring))

            async def is_another() -> bool:
                seen.add(await answer())
                return len(seen) == 2

            await until(is_another, "an answer of the other model")
            await changing
            second = await answer()
            assert second != first
            await shop.change("rollback")

            async def is_the_first() -> bool:
                now = await answer()
                seen.add(now)
                return now == first

            await until(is_the_first, "an answer of the first model")
            assert seen == {first, second}
            await shop.change("shadow", spring, "--share", 1)

            async def said() -> str:
                return (await client.get("/metrics")).text

            async def is_cast() -> bool:
                return "endcap_shadow_share 1.0" in await said()

            await until(is_cast, "the shadow")
            assert [await answer() for _ in range(5)] == [first] * 5

            async def all_compared() -> bool:
                return 'endcap_shadow_lists_total{outcome="compared"} 5.0' in await said()

            await until(all_compared, "every comparison")
            await shop.change("shadow", "--off")
    finally:
        await asyncio.to_thread(server.child.stop)
