"""Whose list is made next, what is skipped, what is shed, and which offset may be committed."""

import asyncio

import pytest

from endcap.serving.waiting_room import Taken, WaitingRoom
from endcap.sessions import Session
from endcap.timeline import Snapshot, Timeline, encode_snapshot

P = "partition 0"


def snapshot(user: str, offset: int, partition: int = 0) -> bytes:
    return encode_snapshot(
        Snapshot(Timeline(Session(user, events_folded=offset + 1)), partition, offset, 0)
    )


def users(taken: Taken) -> list[str]:
    return [each.user_id for each in taken.snapshots]


def ended(taken: Taken) -> list[str]:
    return [each.user_id for each in taken.ended]


def read(room: WaitingRoom, user: str, offset: int, source_offset: int | None = None) -> None:
    room.read(P, offset, user, snapshot(user, offset if source_offset is None else source_offset))


async def test_who_waits_forms_the_batch_the_newest_first() -> None:
    room = WaitingRoom()
    for offset, user in enumerate(["old", "middle", "new"]):
        read(room, user, offset)
    assert users(await room.take(2)) == ["new", "middle"]
    assert users(await room.take(2)) == ["old"]


async def test_in_a_rush_who_has_waited_longest_gets_a_share_of_each_batch() -> None:
    room = WaitingRoom()
    for offset, user in enumerate("abcdefghij"):
        read(room, user, offset)
    assert users(await room.take(4)) == ["j", "i", "h", "a"]
    read(room, "k", 10)
    assert users(await room.take(4)) == ["k", "g", "f", "b"]
    assert users(await room.take(4)) == ["e", "d", "c"]


async def test_a_shopper_waits_once_with_their_newest_snapshot() -> None:
    room = WaitingRoom()
    read(room, "u", 0)
    read(room, "v", 1)
    read(room, "u", 2)
    taken = await room.take(8)
    assert users(taken) == ["u", "v"]
    assert taken.snapshots[0].raw == snapshot("u", 2)


async def test_a_record_holds_back_the_commit_until_redis_has_its_list() -> None:
    room = WaitingRoom()
    read(room, "u", 4)
    read(room, "v", 5)
    newest = await room.take(1)
    assert room.lowest_held() == {P: 4}
    oldest = await room.take(1)
    assert room.lowest_held() == {P: 4}
    room.done(oldest)
    assert room.lowest_held() == {P: 5}
    room.done(newest)
    assert room.lowest_held() == {}
    assert room.unfinished == 0


async def test_what_the_fold_handed_over_is_skipped_when_it_is_read() -> None:
    room = WaitingRoom()
    room.hand_over({"u": snapshot("u", 7)})
    room.done(await room.take(8))
    read(room, "u", 30, source_offset=6)  # committed before the one that was handed over
    read(room, "u", 31, source_offset=7)
    assert len(room) == 0
    assert room.lowest_held() == {}
    read(room, "u", 32, source_offset=8)  # another owner went on
    assert users(await room.take(8)) == ["u"]


async def test_a_skipped_record_holds_back_the_commit_until_the_handed_list_is_written() -> None:
    room = WaitingRoom()
    room.hand_over({"u": snapshot("u", 7)})
    read(room, "u", 31, source_offset=7)
    taken = await room.take(8)
    assert users(taken) == ["u"]
    assert room.lowest_held() == {P: 31}
    room.done(taken)
    assert room.lowest_held() == {}


async def test_the_topic_has_the_last_word_about_the_same_event() -> None:
    room = WaitingRoom()
    room.hand_over({"u": snapshot("u", 7)})
    room.done(await room.take(8))
    other = encode_snapshot(Snapshot(Timeline(Session("u", events_folded=3)), 0, 7, 0))
    room.read(P, 31, "u", other)
    assert (await room.take(8)).snapshots[0].raw == other


async def test_a_tombstone_drops_what_waits_in_either_lane() -> None:
    room = WaitingRoom()
    room.hand_over({"u": snapshot("u", 7)})
    read(room, "v", 1)
    room.read(P, 2, "u", None)
    room.read(P, 3, "v", None)
    taken = await room.take(8)
    assert (users(taken), ended(taken)) == ([], ["u", "v"])
    assert room.lowest_held() == {P: 2}


async def test_who_comes_back_after_the_end_of_their_session_is_served() -> None:
    """Their new session is handed over before the tombstone of the old one is read."""
    room = WaitingRoom()
    room.hand_over({"u": snapshot("u", 9)})
    room.done(await room.take(8))
    room.read(P, 40, "u", None)
    read(room, "u", 41, source_offset=9)
    taken = await room.take(8)
    assert (users(taken), ended(taken)) == (["u"], ["u"])


async def test_a_full_room_sheds_the_stalest_and_lets_their_offsets_go() -> None:
    room = WaitingRoom(size=3)
    for offset in range(10):
        read(room, f"u{offset}", offset)
        assert len(room) <= 3
    assert room.lowest_held() == {P: 7}
    assert users(await room.take(8)) == ["u9", "u8", "u7"]
    read(room, "u0", 10)
    assert users(await room.take(8)) == ["u0"]


async def test_what_only_the_fold_knew_of_and_was_dropped_comes_by_the_topic() -> None:
    room = WaitingRoom(size=2)
    room.hand_over({user: snapshot(user, at) for at, user in enumerate(["a", "b", "c"])})
    assert users(await room.take(8)) == ["c", "b"]
    read(room, "a", 20, source_offset=0)
    assert users(await room.take(8)) == ["a"]


async def test_an_ended_session_is_never_shed() -> None:
    room = WaitingRoom(size=2)
    room.read(P, 0, "gone", None)
    for offset in range(1, 9):
        read(room, f"u{offset}", offset)
    taken = await room.take(8)
    assert ended(taken) == ["gone"]
    assert users(taken) == ["u8", "u7"]


async def test_it_is_idle_once_every_list_is_written_and_not_while_somebody_waits() -> None:
    room = WaitingRoom()
    assert await room.is_idle_for(0.001)
    room.hand_over({"u": b"1"})
    assert not await room.is_idle_for(0.001)
    taken = await room.take(1)
    idle = asyncio.create_task(room.is_idle_for(0.001))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(idle), 0.05)
    room.done(taken)
    assert await idle
