"""Slates of a whole crowd, where no rules are in force."""

import importlib.util
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from endcap.arrays import LongArray
from endcap.candidates import Crowd, Gathered
from endcap.catalogue import CatalogueItem
from endcap.lists import ListItem
from endcap.messages import ENGLISH, Messages
from endcap.policy import Policy, make_slate
from endcap.repeats import away_of
from endcap.scoring import Scored
from endcap.sessions import Session

IS_BUILT = importlib.util.find_spec("endcap.native_slates") is not None
"""False after an installation without a C compiler. A part that is there and does not load is an
error of its import."""


class SoldItems(Protocol):
    """Items as the shop sells them now."""

    @property
    def known(self) -> tuple[CatalogueItem, ...]:
        """Those that `at` gives for the indexes from 1 on, whoever asks; none where the shop may
        have said something newer."""
        ...

    def at(self, strange: tuple[str, ...], index: int, /) -> CatalogueItem:
        """A shopper's item by its index. `strange`: of `Shopper`."""
        ...


def make_slates(
    sessions: Sequence[Session],
    crowd: Crowd,
    found: Gathered,
    scored: Scored,
    items: SoldItems,
    policy: Policy,
    waits_ms: LongArray,
    messages: Messages = ENGLISH,
    natively: bool = IS_BUILT,
) -> list[tuple[ListItem, ...]]:
    """The slate of each session [B], as `make_slate` makes it as of the crowd's `now_ms`.

    `crowd` is made of `sessions`, `found` and `scored` are of it. `waits_ms` [V + 1] as
    `learned_waits` gives them. `natively`: by the compiled path, which gives the same.
    """
    if natively:
        from endcap.native_slates import slates_of

        return slates_of(sessions, crowd, found, scored, items, policy, waits_ms, messages.pieces)
    return [
        make_slate(
            session,
            found.of(row),
            scored.row(row),
            partial(items.at, crowd.strange[row]),
            policy,
            int(crowd.now_ms[row]),
            away,
            messages,
        )
        for row, (session, away) in enumerate(zip(sessions, away_of(crowd, waits_ms), strict=True))
    ]
