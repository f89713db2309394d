"""Sessions folded anew from the raw events, beside those that are in use."""

from pathlib import Path
from typing import Any

from command_line import endcap, endcap_json, settings_for
from msgspec.structs import replace
from stream_topics import send_events, sessions_in

from endcap.deploy.bench.stream_process import StreamProcess
from endcap.deploy.local_stack import LocalStack
from endcap.events import Event, EventItem, EventType
from endcap.lists import GENERATION, ListItem, RecommendationList
from endcap.serving.redis_store import RedisStore
from endcap.sessions import fold_all
from endcap.streams.clients import (
    create_topics,
    partition_counts,
)
from endcap.streams.person import request_erasure
from endcap.topics import topics_with_prefix

_PREFIX = "rebuilt"
_OLD, _NEW = topics_with_prefix(_PREFIX), topics_with_prefix(_PREFIX, 2)


async def test_a_rebuild_folds_all_events_anew_by_todays_settings(
    stack: LocalStack, tmp_path: Path
) -> None:
    bootstrap = stack.bootstrap_servers
    settings = settings_for(stack, _PREFIX) | {"ENDCAP_DATA_DIR": str(tmp_path)}
    await create_topics(bootstrap, _OLD, 2)
    events = [_event(number) for number in range(300)]
    await send_events(bootstrap, _OLD, [*events[150:], *events[:150]])
    await request_erasure(bootstrap, _OLD, "u0", "r-1")
    # The running worker was set to no lateness at all: half of the events are dead letters.
    worker = StreamProcess(stack, _PREFIX, 800, {"ENDCAP_LATENESS_S": "0"})
    try:
        rebuilt = _rebuild(settings)
    finally:
        worker.child.stop(30)
    assert rebuilt["events"] == 300
    plain = fold_all(events)
    plain.pop("u0")
    assert await sessions_in(bootstrap, _NEW) == plain
    assert await sessions_in(bootstrap, _OLD) != plain
    again = _rebuild(settings)
    assert again["events"] == 300
    assert await sessions_in(bootstrap, _NEW) == plain

    of_new = settings | {"ENDCAP_GENERATION": "2"}
    deleted = endcap("topics", "delete-generation", "1", "--yes", **of_new)
    assert deleted.returncode == 0, deleted.stderr
    there = await partition_counts(bootstrap, (_OLD.sessions, _NEW.sessions, _OLD.events))
    assert list(there.values()) == [0, 2, 2]


async def test_a_list_of_a_rebuilt_session_replaces_one_of_more_events(stack: LocalStack) -> None:
    store = RedisStore(stack.redis_url)
    try:
        for version in (9, GENERATION + 3):
            ready = RecommendationList(version, "m", 1, (ListItem("milk", 0.5, "popular"),))
            assert await store.write_lists({"rebuilt-shopper": ready}) == 1
        assert await store.write_lists({"rebuilt-shopper": replace(ready, version=9)}) == 0
    finally:
        await store.close()


def _event(number: int) -> Event:
    return Event(
        event_id=f"e{number}",
        user_id=f"u{number % 7}",
        event_name=EventType.VIEW_ITEM,
        timestamp_ms=1_700_000_000_000 + number * 100,
        items=(EventItem(f"i{number}"),),
    )


def _rebuild(settings: dict[str, str]) -> Any:
    return endcap_json("rebuild", "--generation", "2", "--json", **settings)
