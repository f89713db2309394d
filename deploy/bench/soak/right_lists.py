"""Is each list in Redis the one that its shopper's events make?"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import redis.asyncio

from endcap.bundle import Bundle
from endcap.lists import RecommendationList, decode_list, rec_key
from endcap.policy import Policy
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.rescorer import rescore
from endcap.sessions import Session
from endcap.streams.clients import read_whole
from endcap.timeline import decode_snapshot
from endcap.topics import Topics

_BATCH = 128


class Lists(NamedTuple):
    """`right`: made of the newest session, item by item; `stale`: of an older one; `missing`;
    `other`: of the newest session, with other items."""

    right: int
    stale: int
    missing: int
    other: int

    @property
    def are_right(self) -> bool:
        """All of them."""
        return not (self.stale or self.missing or self.other)


async def newest_sessions(bootstrap_servers: str, topics: Topics) -> list[Session]:
    """What the sessions topic holds of each shopper."""
    newest: dict[str, bytes] = {}
    async for record in read_whole(bootstrap_servers, topics.sessions.name):
        newest[record.key.decode()] = record.value
    return [decode_snapshot(raw).session for raw in newest.values() if raw]


def expected_lists(
    sessions: Sequence[Session], bundle: Bundle, scorer: OnnxScorer
) -> dict[str, RecommendationList]:
    """What a rescorer makes of them; nothing is asked but the bundle."""
    made: dict[str, RecommendationList] = {}
    for first in range(0, len(sessions), _BATCH):
        made |= rescore(sessions[first : first + _BATCH], bundle, scorer, Policy())
    return made


async def compare_lists(expected: Mapping[str, RecommendationList], redis_port: int) -> Lists:
    """What lies in Redis against what should."""
    users = list(expected)
    async with redis.asyncio.Redis(port=redis_port) as client:
        held = await client.mget([rec_key(user_id) for user_id in users])
    counts = dict.fromkeys(Lists._fields, 0)
    for user_id, raw in zip(users, held, strict=True):
        counts[_judged(expected[user_id], cast("bytes | None", raw))] += 1
    return Lists(**counts)


def _judged(wanted: RecommendationList, raw: bytes | None) -> str:
    if raw is None:
        return "missing"
    found = decode_list(raw)
    if found.version != wanted.version:
        return "stale"
    alike = [i.id for i in found.items] == [i.id for i in wanted.items]
    return "right" if alike else "other"
