"""Where an owned partition's snapshots lie, beside the topic that holds them for good."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from endcap.decoding import name_in

log = logging.getLogger(__name__)


class SessionStore(Protocol):
    """Snapshots of one partition by user id, and up to where of the sessions topic they go.

    `position` is the offset of the first record of the sessions topic that is not in the store.
    """

    @property
    def position(self) -> int:
        """Where to go on reading."""

    def get(self, user_id: str) -> bytes | None:
        """The newest snapshot, as written; None where there is none."""

    def put(self, rows: Mapping[str, bytes | None], position: int) -> None:
        """Replace snapshots (None removes one) and move `position`, both or neither."""

    def next_rows(self, count: int) -> list[bytes]:
        """The next snapshots on a walk through all of them that begins anew at its end.

        At most `count`; of a shopper put a moment ago it may be the one before.
        """

    def __len__(self) -> int:
        """How many shoppers it holds."""

    def clear(self) -> None:
        """Forget everything, `position` too."""

    def close(self) -> None:
        """Give back what it holds open."""


class MemorySessions:
    """A store in memory: gone with the process, read back from the topic by the next."""

    def __init__(self) -> None:
        self._rows: dict[str, bytes] = {}
        self._walk: list[str] = []
        self.position = 0

    def get(self, user_id: str) -> bytes | None:
        """See `SessionStore`."""
        return self._rows.get(user_id)

    def put(self, rows: Mapping[str, bytes | None], position: int) -> None:
        """See `SessionStore`."""
        for user_id, raw in rows.items():
            if raw is None:
                self._rows.pop(user_id, None)
            else:
                self._rows[user_id] = raw
        self.position = position

    def next_rows(self, count: int) -> list[bytes]:
        """See `SessionStore`."""
        if not self._walk:
            self._walk = list(self._rows)
        met = self._walk[-count:]
        del self._walk[-count:]
        return [self._rows[user_id] for user_id in met if user_id in self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def clear(self) -> None:
        """See `SessionStore`."""
        self._rows.clear()
        self.position = 0

    def close(self) -> None:
        """Nothing is held open."""


def memory_store(_partition: int) -> SessionStore:
    """Sessions in memory alone: a restart reads the whole of its partitions back."""
    return MemorySessions()


def rows_of(records: Iterable[Any]) -> dict[str, bytes | None]:
    """What records of the sessions topic put into a store; a key that is no UTF-8 is nobody's."""
    rows: dict[str, bytes | None] = {}
    for record in records:
        user_id = name_in(record.key)
        if user_id is None:
            log.warning("passed over a record of %s: its key is no UTF-8", record.topic)
        else:
            rows[user_id] = record.value
    return rows
