"""Which commands go to one node of a cluster."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any


def places_by_node(cluster: Any, commands: Sequence[Sequence[str]]) -> list[list[int]]:
    """For each node, which of the commands are for it; the key is each one's second word.

    `cluster`: of redis-py, sync or async, that has met its nodes.

    Raises:
        redis.exceptions.SlotNotCoveredError: no node holds one of the keys.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, (_, key, *_) in enumerate(commands):
        places[cluster.get_node_from_key(key).name].append(place)
    return list(places.values())
