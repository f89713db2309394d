"""The names of the Kafka topics, and how each is kept."""

from typing import NamedTuple


class Topic(NamedTuple):
    """A topic's name, and whether the broker keeps only the newest record of each key."""

    name: str
    compacted: bool


class Topics(NamedTuple):
    """All topics of one installation.

    A shopper's records are in the same partition of `events`, `handovers`, `erasures` and
    `sessions`: these have equally many.
    """

    events: Topic
    handovers: Topic
    sessions: Topic
    item_deltas: Topic
    catalogue: Topic
    price_changes: Topic
    impressions: Topic
    erasures: Topic
    dead_letters: Topic


def topics_with_prefix(prefix: str = "endcap") -> Topics:
    """Name every topic under `prefix`.

    >>> topics_with_prefix("shop").events.name
    'shop.events'
    """
    return Topics(
        events=Topic(f"{prefix}.events", compacted=False),
        handovers=Topic(f"{prefix}.handovers", compacted=True),
        sessions=Topic(f"{prefix}.sessions", compacted=True),
        item_deltas=Topic(f"{prefix}.item-deltas", compacted=False),
        catalogue=Topic(f"{prefix}.catalogue", compacted=True),
        price_changes=Topic(f"{prefix}.price-changes", compacted=True),
        impressions=Topic(f"{prefix}.impressions", compacted=False),
        erasures=Topic(f"{prefix}.erasures", compacted=True),
        dead_letters=Topic(f"{prefix}.dead-letters", compacted=True),
    )
