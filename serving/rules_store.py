"""Rules in Redis: a stream, of which the newest entry is in force and all others are the history.

Who applies rules adds an entry; Redis gives it a number by its own clock, which nobody can set.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ResponseError

from endcap.errors import SettingsError
from endcap.serving.cluster_reads import answering, open_redis

RULES_KEY = "endcap:rules"
KEPT = 1000
"""Entries of the history; older ones go."""
_TIMEOUT_S = 2.0
_NEWEST = 1


class Applied(NamedTuple):
    """An entry. `version`: its number, Unix ms of Redis' clock and a count; `text` in YAML."""

    version: str
    who: str
    text: str

    @property
    def at_ms(self) -> int:
        """When Redis took it."""
        return int(self.version.partition("-")[0])


class RulesStore:
    """Reads and adds entries."""

    def __init__(self, url: str) -> None:
        """`url`: of one server, or with `?cluster=true` of a node of a Redis Cluster."""
        self._url = url
        retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), 2)
        self._redis = open_redis(url, _TIMEOUT_S, retry)

    async def newest(self) -> Applied | None:
        """What is in force; None where nobody has applied rules.

        Raises:
            StoreUnavailableError: Redis did not answer, retries included.
            SettingsError: another program's value lies under the key.
        """
        found = await self.history(_NEWEST)
        return found[0] if found else None

    async def history(self, most: int) -> list[Applied]:
        """The newest entries, newest first; raises as `newest` does."""
        with self._answering():
            rows = await self._redis.xrevrange(RULES_KEY, count=most)
        return [_applied(version, fields) for version, fields in rows]

    async def apply(self, text: str, who: str) -> Applied:
        """Add an entry. The text must be checked before; raises as `newest` does."""
        with self._answering():
            version = await self._redis.xadd(
                RULES_KEY, {"who": who, "text": text}, maxlen=KEPT, approximate=False
            )
        return Applied(version.decode(), who, text)

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            with answering(self._url):
                yield
        except ResponseError as error:
            raise SettingsError(
                f"The rules in Redis cannot be read or written ({error}). {RULES_KEY} must be a "
                "stream, and this user must be allowed XREVRANGE and, to apply, XADD on it."
            ) from error


def _applied(version: bytes, fields: dict[bytes, bytes]) -> Applied:
    """Of an entry that was added by hand, whatever it lacks is empty."""
    return Applied(
        version.decode(),
        fields.get(b"who", b"").decode(errors="replace") or "somebody",
        fields.get(b"text", b"").decode(errors="replace"),
    )
