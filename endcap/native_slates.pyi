from collections.abc import Sequence

from endcap.arrays import LongArray
from endcap.candidates import Crowd, Gathered
from endcap.lists import ListItem
from endcap.policy import Policy
from endcap.scoring import Scored
from endcap.sessions import Session
from endcap.slates import SoldItems

def slates_of(
    sessions: Sequence[Session],
    crowd: Crowd,
    found: Gathered,
    scored: Scored,
    items: SoldItems,
    policy: Policy,
    waits_ms: LongArray,
    pieces: dict[str, list[str]],
) -> list[tuple[ListItem, ...]]: ...
