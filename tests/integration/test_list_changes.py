"""Whoever waits for a list hears of it from Redis itself, on a Valkey of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import redis
from own_valkey import OwnValkey

from endcap.lists import TRENDING_KEY, rec_key
from endcap.serving.list_changes import ListChanges, Listener, TooManyListenersError

pytestmark = pytest.mark.integration
SOON_S = 20.0


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[OwnValkey]:
    running = OwnValkey(tmp_path)
    yield running
    running.stop()


@asynccontextmanager
async def followed(url: str, most: int = 10) -> AsyncIterator[ListChanges]:
    changes = ListChanges(url, most)
    running = asyncio.create_task(changes.run())
    try:
        yield changes
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def heard(listener: Listener) -> bool:
    """Of something new; returns whether Redis is followed."""
    assert await listener.next(SOON_S)
    return listener.is_live


async def until(is_live: bool, listener: Listener) -> None:
    while await heard(listener) is not is_live:
        pass


async def test_a_list_is_heard_of_when_it_is_written_deleted_or_flushed(valkey: OwnValkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.set(rec_key("ann"), "first")
        async with followed(valkey.url) as changes:
            ann, also_ann, bob = (changes.listen(user) for user in ("ann", "ann", "bob"))
            assert await heard(ann)
            assert await heard(also_ann)
            assert await heard(bob)
            for value in ("second", "third"):
                client.set(rec_key("ann"), value)
                assert await heard(ann)
                assert await heard(also_ann)
            client.delete(rec_key("ann"))
            assert await heard(ann)
            assert not await bob.next(0)
            client.set(rec_key("bob"), "his")
            assert await heard(bob)
            client.flushall()
            assert await heard(bob)


async def test_who_has_no_list_hears_of_everybodys(valkey: OwnValkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.set(rec_key("ann"), "hers")
        async with followed(valkey.url) as changes:
            ann, bob = changes.listen("ann"), changes.listen("bob")
            assert await heard(ann)
            assert await heard(bob)
            client.set(TRENDING_KEY, "new")
            assert await heard(bob)
            assert not await ann.next(0)
            changes.wake_all()
            assert await heard(ann)


async def test_nobody_asks_while_nothing_changes(valkey: OwnValkey) -> None:
    async with followed(valkey.url) as changes:
        ann = changes.listen("ann")
        await heard(ann)
        before = valkey.calls()["get"]
        assert not await ann.next(0.3)
        assert valkey.calls()["get"] == before


async def test_after_a_restart_lists_are_heard_of_again(valkey: OwnValkey) -> None:
    async with followed(valkey.url) as changes:
        with redis.Redis.from_url(valkey.url) as client:
            client.set(rec_key("ann"), "first")
        ann = changes.listen("ann")
        assert await heard(ann)
        valkey.stop()
        assert not await heard(ann)
        late = changes.listen("bob")
        assert not await heard(late)
        valkey.start()
        await until(True, ann)
        await until(True, late)
        with redis.Redis.from_url(valkey.url) as client:
            client.set(rec_key("ann"), "second")
        assert await heard(ann)


async def test_no_more_listen_than_may_and_who_leaves_makes_room(valkey: OwnValkey) -> None:
    async with followed(valkey.url, most=2) as changes:
        ann, bob = changes.listen("ann"), changes.listen("bob")
        with pytest.raises(TooManyListenersError, match="2 pages listen already"):
            changes.listen("cleo")
        ann.close()
        ann.close()
        cleo = changes.listen("cleo")
        with pytest.raises(TooManyListenersError):
            changes.listen("ann")
        changes.close()
        for listener in (bob, cleo):
            assert not await listener.next(SOON_S)
            assert listener.is_ended


async def test_a_reader_needs_few_rights_and_without_them_is_told(valkey: OwnValkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.execute_command(
            *("ACL", "SETUSER", "page", "on", ">s3cret", f"~{rec_key('*')}", f"~{TRENDING_KEY}"),
            *("-@all", "+hello", "+client|tracking", "+ping", "+get"),
        )
        client.execute_command("ACL", "SETUSER", "blind", "on", ">s3cret", "~*", "+get", "+ping")
        client.set(rec_key("ann"), "first")
        async with followed(valkey.url.replace("//", "//page:s3cret@")) as changes:
            ann = changes.listen("ann")
            assert await heard(ann)
            client.set(rec_key("ann"), "second")
            assert await heard(ann)
        async with followed(valkey.url.replace("//", "//blind:s3cret@")) as changes:
            assert not await heard(changes.listen("ann"))
