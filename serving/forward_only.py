"""Lists that only move forward: a batch is one script and one round trip, even the first time."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError, RedisClusterException, ResponseError

# A list replaces one of a lower version, or the same version computed again. msgspec writes the
# fields in their order, so the version stands in the first bytes of the JSON.
_SCRIPT = """
local written = 0
for i, key in ipairs(KEYS) do
  local version = string.match(redis.call('GETRANGE', key, 0, 31), '^{"version":(%d+)')
  if not version or tonumber(version) <= tonumber(ARGV[2 * i]) then
    redis.call('SET', key, ARGV[2 * i + 1], 'EX', ARGV[1])
    written = written + 1
  end
end
return written
"""
_DIGEST = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()


class Row(NamedTuple):
    """A key, the version that it moves to, and the JSON that says so."""

    key: str
    version: int
    value: bytes


class ForwardOnly:
    """Writes rows of higher versions than what is held; others change nothing.

    One server takes a batch in one call. A cluster refuses a call over several slots before it does
    anything; from then on each row is a call of its own, all in one pipeline.
    """

    def __init__(self, client: Any, ttl_s: int) -> None:
        """`client`: an async Redis client."""
        self._client = client
        self._ttl_s = ttl_s
        self._is_known = False
        """Whether the server has the script: until then it travels with the call."""
        self._by_slot = False

    async def write(self, rows: Sequence[Row]) -> int:
        """How many were written.

        Raises:
            redis.exceptions.RedisError: the server did not answer, or refused.
        """
        if not self._by_slot:
            try:
                return await self._write(rows)
            except (ResponseError, RedisClusterException) as error:
                if not _crosses_slots(error):
                    raise
                self._by_slot = True
        return await self._write(rows)

    async def _write(self, rows: Sequence[Row]) -> int:
        try:
            written = await self._call(rows, self._is_known)
        except NoScriptError:  # the server was started anew, or its scripts were flushed
            written = await self._call(rows, False)
        self._is_known = True
        return written

    async def _call(self, rows: Sequence[Row], by_digest: bool) -> int:
        script = ("EVALSHA", _DIGEST) if by_digest else ("EVAL", _SCRIPT)
        if not self._by_slot:
            return int(await self._client.execute_command(*script, *self._arguments(rows)))
        async with self._client.pipeline(transaction=False) as pipeline:
            for row in rows:
                pipeline.execute_command(*script, *self._arguments([row]))
            return sum(await pipeline.execute())

    def _arguments(self, rows: Sequence[Row]) -> list[Any]:
        arguments: list[Any] = [len(rows), *(row.key for row in rows), self._ttl_s]
        for row in rows:
            arguments += (row.version, row.value)
        return arguments


def _crosses_slots(error: Exception) -> bool:
    said = ("CROSSSLOT", "hash to the same slot", "map to the same key slot")
    return any(words in str(error) for words in said)
