"""What each process may do on the broker, where it asks: the least that it works with.

docs/security.md shows this table, and a test runs the processes with it and nothing else.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from endcap.deploy.settings import Settings
from endcap.deploy.sources import source_settings
from endcap.topics import Topic

Resource = Literal["topic", "group", "cluster", "transactional-id"]


class Right(NamedTuple):
    """Operations on what has this name, or a name that begins so (`prefixed`)."""

    resource: Resource
    name: str
    operations: tuple[str, ...]
    pattern: Literal["literal", "prefixed"] = "literal"


def rights(settings: Settings) -> Mapping[str, Sequence[Right]]:
    """By process. `operator`: the commands `user`, `dead-letters`, `price`, `doctor` and the like;
    `admin`: `topics create`. Each process sees that all topics are there; none reads what it does
    not need.

    Raises:
        SettingsError: a source, which `ingest` must be let read, is not right.
    """
    prefix, topics = settings.topic_prefix, settings.topics
    seen = Right("topic", f"{prefix}.", ("Describe",), "prefixed")

    def reads(*of: Topic) -> list[Right]:
        return [Right("topic", topic.name, ("Read",)) for topic in of]

    def writes(*of: Topic) -> list[Right]:
        return [Right("topic", topic.name, ("Write",)) for topic in of]

    def group(role: str) -> Right:
        # The generation stands behind the name.
        return Right("group", f"{prefix}-{role}", ("Read",), "prefixed")

    def transactions(role: str) -> Right:
        return Right("transactional-id", f"{prefix}-{role}", ("Write", "Describe"), "prefixed")

    stream = [
        *reads(topics.events, topics.handovers, topics.sessions, topics.erasures),
        *writes(
            topics.handovers,
            topics.sessions,
            topics.item_deltas,
            topics.erasures,
            topics.dead_letters,
        ),
        group("stream"),
        transactions("stream"),
    ]
    rescore = [
        *reads(topics.sessions, topics.catalogue, topics.erasures),
        *reads(topics.dead_letters, topics.campaigns),
        *writes(topics.erasures, topics.dead_letters, topics.campaigns),
        group("rescore"),
        group("sweep"),
        transactions("sweep"),
    ]
    everything = ("Read", "Write", "Create", "Delete", "Alter", "DescribeConfigs")
    return {
        "admin": [
            Right("topic", f"{prefix}.", (*everything, "AlterConfigs"), "prefixed"),
        ],
        "stream": [seen, *stream],
        "rescore": [seen, *rescore],
        "trends": [
            seen,
            *reads(topics.item_deltas, topics.catalogue),
            *writes(topics.catalogue, topics.price_changes),
            # Faust's own: the changelogs of its tables.
            Right("topic", f"{prefix}-trends", everything, "prefixed"),
            group("trends"),
        ],
        "ingest": [
            seen,
            *(Right("topic", each.topic, ("Read",)) for each in source_settings(settings).values()),
            *writes(topics.events, topics.dead_letters),
            group("ingest"),
            transactions("ingest"),
        ],
        "serve": [
            seen,
            *reads(topics.events, topics.sessions, topics.catalogue, topics.erasures),
            *writes(topics.events, topics.impressions, topics.conversations, topics.erasures),
        ],
        "segments": [seen, *reads(topics.sessions), group("segments")],
        "operator": [
            Right("topic", f"{prefix}.", ("Read", "Describe"), "prefixed"),
            *writes(topics.erasures, topics.dead_letters, topics.events, topics.prices),
            *writes(topics.catalogue, topics.campaigns),
            Right("topic", topics.events.name, ("Delete",)),  # erase --purge-events
            group(""),
            transactions(""),
            Right("transactional-id", topics.prices.name, ("Write", "Describe"), "prefixed"),
            Right("transactional-id", topics.dead_letters.name, ("Write", "Describe"), "prefixed"),
        ],
    }


def command_lines(settings: Settings, users: Mapping[str, str]) -> list[str]:
    """Lines of Kafka's own `kafka-acls.sh` that give a user the rights of a process."""
    return [
        shlex.join(
            [
                *("kafka-acls.sh", "--bootstrap-server", settings.broker, "--add"),
                *("--allow-principal", f"User:{users[process]}"),
                *(word for each in right.operations for word in ("--operation", each)),
                *([f"--{right.resource}"] + ([] if right.resource == "cluster" else [right.name])),
                *("--resource-pattern-type", right.pattern),
            ]
        )
        for process, of_process in rights(settings).items()
        if process in users
        for right in of_process
    ]
