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
    prices: Topic
    impressions: Topic
    conversations: Topic
    campaigns: Topic
    erasures: Topic
    dead_letters: Topic


def topics_with_prefix(prefix: str = "endcap", generation: int = 1) -> Topics:
    """Name every topic under `prefix`.

    What a session worker writes has a name of its own in each `generation`: the events can be
    folded anew beside the running workers (`endcap rebuild`).

    >>> topics_with_prefix("shop").events.name
    'shop.events'
    >>> topics_with_prefix("shop", 2).sessions.name
    'shop.sessions.g2'
    """
    of = generation_suffix(generation)
    return Topics(
        events=Topic(f"{prefix}.events", compacted=False),
        handovers=Topic(f"{prefix}.handovers{of}", compacted=True),
        sessions=Topic(f"{prefix}.sessions{of}", compacted=True),
        item_deltas=Topic(f"{prefix}.item-deltas{of}", compacted=False),
        catalogue=Topic(f"{prefix}.catalogue", compacted=True),
        price_changes=Topic(f"{prefix}.price-changes", compacted=True),
        prices=Topic(f"{prefix}.prices", compacted=True),
        impressions=Topic(f"{prefix}.impressions", compacted=False),
        conversations=Topic(f"{prefix}.conversations", compacted=False),
        campaigns=Topic(f"{prefix}.campaigns", compacted=True),
        erasures=Topic(f"{prefix}.erasures", compacted=True),
        dead_letters=Topic(f"{prefix}.dead-letters{of}", compacted=True),
    )


def generation_suffix(generation: int) -> str:
    """Behind the names of what belongs to a generation; the first has none."""
    return "" if generation == 1 else f".g{generation}"
