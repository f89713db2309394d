"""A dead letter is listed, shown, and goes back once, to where it came from."""

from pathlib import Path
from uuid import uuid4

import pytest
from command_line import endcap, endcap_json, settings_for

from endcap.deploy.local_stack import LocalStack
from endcap.errors import InvalidEventError
from endcap.streams.clients import create_topics, read_whole, started_producer
from endcap.streams.dead_letters import (
    CUT,
    LARGEST_VALUE,
    Wanted,
    letter_record,
    read_letters,
    replay_letters,
)
from endcap.topics import Topics, topics_with_prefix

pytestmark = pytest.mark.integration


class Record:
    """A consumed record that was refused."""

    def __init__(self, topics: Topics, offset: int, value: bytes) -> None:
        self.topic, self.partition, self.offset = topics.events.name, 0, offset
        self.key, self.value, self.headers = b"ann", value, (("traceparent", b"00-1"),)


async def write(stack: LocalStack, topics: Topics, *letters: tuple[Record, str]) -> None:
    producer = await started_producer(stack.bootstrap_servers)
    for record, reason in letters:
        key, value, headers = letter_record(record, InvalidEventError(reason, f"Why: {reason}."))
        await producer.send_and_wait(
            topics.dead_letters.name, value, key, partition=0, headers=headers
        )
    await producer.stop()


@pytest.fixture
async def topics(stack: LocalStack) -> Topics:
    named = topics_with_prefix(f"t{uuid4().hex[:8]}")
    await create_topics(stack.bootstrap_servers, named, 2)
    return named


async def test_letters_are_listed_shown_and_replayed_once(
    stack: LocalStack, topics: Topics
) -> None:
    await write(
        stack,
        topics,
        (Record(topics, 7, b'{"a": 1}'), "late"),
        (Record(topics, 8, b"rubbish"), "not_json"),
    )
    settings = settings_for(stack, topics.events.name.removesuffix(".events"))
    said = endcap_json("dead-letters", "list", "--json", **settings)
    assert said["by_reason"] == {"late": 1, "not_json": 1}
    assert said["newest"][0]["offset"] == 7

    shown = endcap("dead-letters", "show", "0:1", **settings)
    assert "rubbish" in shown.stdout
    assert "Why: not_json." in shown.stderr

    nothing = endcap("dead-letters", "replay", **settings)
    assert nothing.returncode == 1
    assert "Say which" in nothing.stderr
    planned = endcap("dead-letters", "replay", "--reason", "late", "--dry-run", **settings)
    assert planned.returncode == 0
    assert [
        record async for record in read_whole(stack.bootstrap_servers, topics.events.name)
    ] == []

    for expected in (1, 0):  # the second time there is nothing left to replay
        sent = endcap_json("dead-letters", "replay", "--reason", "late", "--json", **settings)
        assert sent == {"replayed": expected, "matched": expected}
    back = [record async for record in read_whole(stack.bootstrap_servers, topics.events.name)]
    assert [(record.key, record.value) for record in back] == [(b"ann", b'{"a": 1}')]
    assert back[0].headers == (("traceparent", b"00-1"),)
    left = endcap_json("dead-letters", "list", "--json", **settings)
    assert left["by_reason"] == {"not_json": 1}


async def test_a_letter_of_a_file_and_a_cut_one_say_where_the_whole_is(
    stack: LocalStack, topics: Topics
) -> None:
    of_a_file = Record(topics, 3, b"x")
    of_a_file.topic = "events.csv.gz"
    await write(
        stack,
        topics,
        (of_a_file, "schema"),
        (Record(topics, 4, b"y" * (LARGEST_VALUE + 1)), "not_json"),
    )
    file_letter, cut_letter = await read_letters(stack.bootstrap_servers, topics)
    with pytest.raises(InvalidEventError, match=r"events\.csv\.gz, which is no topic"):
        await replay_letters(stack.bootstrap_servers, topics, [file_letter])
    assert dict(cut_letter.headers)[CUT] == str(LARGEST_VALUE + 1).encode()
    assert len(cut_letter.value or b"") == LARGEST_VALUE
    with pytest.raises(InvalidEventError, match="offset 4"):
        await replay_letters(stack.bootstrap_servers, topics, [cut_letter])
    assert Wanted(source_topic="events.csv.gz").takes(file_letter)
    assert not Wanted(names=frozenset({cut_letter.name})).takes(file_letter)


def test_a_file_that_is_not_there_or_not_known_is_named(stack: LocalStack, tmp_path: Path) -> None:
    settings = settings_for(stack, "none")
    missing = endcap("replay", tmp_path / "no.csv", **settings)
    assert missing.returncode == 1
    assert "no.csv cannot be read" in missing.stderr
    wrong = tmp_path / "rows.xlsx"
    wrong.write_bytes(b"")
    assert "neither .csv nor .jsonl" in endcap("replay", wrong, **settings).stderr
    unknown = endcap("replay", wrong, "--adapter", "rees64", **settings)
    assert "There is no adapter rees64" in unknown.stderr
