"""The compiled path of the fold, where it was built, beside the fold in Python."""

import importlib.util
from collections.abc import Callable, Sequence, Set

from endcap.erasure import Registry
from endcap.errors import InvalidEventError
from endcap.events import EventType
from endcap.streams.folded_batch import Record, arrival_of, event_of
from endcap.streams.item_deltas import ItemDelta

IS_BUILT = importlib.util.find_spec("endcap.streams.plain_events") is not None
"""False after an installation without a C compiler. A part that is there and does not load is an
error of its import."""


def describe(natively: bool) -> str:
    """Which path the fold takes, in words."""
    if natively:
        return "plain events take the compiled path of the fold"
    why = (
        "ENDCAP_COMPILED_FOLD=false asks for that."
        if IS_BUILT
        else "the compiled path is not built. Install a C compiler, then endcap anew."
    )
    return f"Every event is folded in Python, at less than half the rate: {why}"


class PlainFold:
    """The plain events of a batch, folded; `first_user_id` is set where the first event is one."""

    def __init__(
        self, records: Sequence[Record], partition: int, now_ms: int, lateness_ms: int
    ) -> None:
        from endcap.streams.plain_events import PlainEvents

        self._plain: PlainEvents = PlainEvents(list(records), partition, now_ms)
        self._lateness_ms = lateness_ms
        self.snapshots: dict[str, bytes] = {}
        self.users = self._plain.users
        self.first_user_id: str | None = next(iter(self.users), None)
        self._involved: set[str] = set()
        for index in self._plain.doubtful():
            self._look_at(records[index], index, now_ms)

    def fold(
        self, known: Set[str], registry: Registry, look_up: Callable[[str], bytes | None]
    ) -> list[Record]:
        """Returns the records that `BatchFold` folds.

        They are all those of a shopper who is in `known` (somebody holds their timeline already),
        whose erasure is registered, or of whom one event is not plain.
        """
        refused = self._involved | known
        if len(registry):
            refused |= {user for user in self.users if registry.until_ms(user) >= 0}
        self.snapshots, left = self._plain.fold(refused, look_up, self._lateness_ms)
        self.users = {user: at for user, at in self.users.items() if user not in refused}
        return left

    @property
    def folded(self) -> int:
        """How many events."""
        return self._plain.folded

    @property
    def duplicates(self) -> int:
        """How many events."""
        return self._plain.duplicates

    @property
    def kinds(self) -> dict[int, int]:
        """How many were folded of each type, by its code."""
        return self._plain.kinds

    @property
    def newest_ms(self) -> int:
        """Of the snapshots."""
        return self._plain.newest_ms

    def deltas(self, others: Sequence[ItemDelta]) -> list[bytes]:
        """The batch's item deltas, `others` among them, as records."""
        return self._plain.deltas(others)

    def _look_at(self, record: Record, index: int, now_ms: int) -> None:
        """Whose events must go where this one goes."""
        try:
            event = event_of(record, arrival_of(record, now_ms))
        except InvalidEventError:
            return  # `BatchFold` refuses it again, and says why
        self._involved.add(event.user_id)
        is_login = event.event_name is EventType.IDENTIFY and event.anonymous_id != event.user_id
        if event.anonymous_id and is_login:
            self._involved.add(event.anonymous_id)
        elif index < self._plain.first or self._plain.first < 0:
            self.first_user_id = event.user_id
            self._plain.first = index
