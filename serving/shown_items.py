"""What answers say of items now, and which of them must not be shown."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

import msgspec

from endcap.catalogue import CatalogueItem
from endcap.errors import ConnectionFailedError
from endcap.rules import RuleSet
from endcap.rules.effects import Effects
from endcap.rules.windows import in_force
from endcap.serving.shop_rules import ShopRules
from endcap.serving.tails import Tails, no_tails

RENEW_S = 4.0
"""What is known of items is read anew when it is so old, beside the requests: none waits for it."""
MAX_AGE_S = 5.0
"""Nothing older is shown (docs/rules.md); a change of rules holds at once."""
_AGAIN_S = 0.5
"""Between two attempts to renew while the store does not answer."""
_STAYS = 2
"""What was not shown in so many periods of `RENEW_S` is not read any more."""
_A_LITTLE_S = 0.02
_AT_ONCE = 100
"""Reading so many keeps the event loop for less than a millisecond."""
WINDOWS_S = 1.0
MAX_ITEMS = 100_000


class ItemsReader(Protocol):
    """Where items are read."""

    async def items(self, ids: Sequence[str]) -> dict[str, CatalogueItem]:
        """Facts of several items; unknown ids are left out."""
        ...


class _Facts(msgspec.Struct):
    title: str
    category: str
    price: float | None


_encoder = msgspec.json.Encoder()


def tail_of(item: CatalogueItem | None) -> bytes:
    """What an answer's row says of an item, as JSON that is put before the row's closing brace;
    empty where nothing is known of it.

    >>> tail_of(CatalogueItem("milk", "Milk", "Dairy", price=1.19))
    b',"title":"Milk","category":"Dairy","price":1.19'
    """
    if item is None:
        return b""
    return b"," + _encoder.encode(_Facts(item.title, item.category, item.price))[1:-1]


class _Hidden(NamedTuple):
    why: str
    tail: bytes


class ShownItems:
    """Items by the rules of now, as they were at most `MAX_AGE_S` ago; about `MAX_ITEMS` at most.

    All are of one age: one for each would cost more than what reading them again does. Those that
    were shown of late are read anew together, the others are forgotten.
    """

    def __init__(
        self, reader: ItemsReader, shop: ShopRules, placement: str, clock: Callable[[], float]
    ) -> None:
        """`clock`: seconds since 1970, for the windows of rules."""
        self._reader = reader
        self._shop = shop
        self._placement = placement
        self._clock = clock
        self._rules: RuleSet | None = None
        self._effects = Effects(())
        self._open: tuple[str, ...] = ()
        self._looked_s = self._since_s = self._good_until_s = self._not_before_s = 0.0
        self._renewing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._shown_before: deque[list[str]] = deque(maxlen=_STAYS)
        self._tails = no_tails()
        self._hidden: dict[str, _Hidden] = {}

    def tails(self) -> Tails:
        """By item what `tail_of` gives, of those that are known and may be shown."""
        self._refresh()
        return self._tails

    async def out_of(self, ids: Sequence[str]) -> Mapping[str, str]:
        """By item, why it must not be shown; empty where all of these may.

        Raises:
            ConnectionFailedError: the store does not answer.
        """
        _, hidden = await self._known(ids)
        return {item_id: hidden[item_id].why for item_id in ids if item_id in hidden}

    async def tails_of(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The tails of these, hidden or not.

        Raises:
            ConnectionFailedError: the store does not answer.
        """
        tails, hidden = await self._known(ids)
        return {each: tails[each] if each in tails else hidden[each].tail for each in ids}

    async def _known(self, ids: Sequence[str]) -> tuple[Tails, dict[str, _Hidden]]:
        """Tails of what may be shown, and what may not: each id is in one of them."""
        self._refresh()
        tails, hidden = self._tails, self._hidden
        unseen = [item_id for item_id in ids if item_id not in tails and item_id not in hidden]
        if unseen:
            if len(tails) + len(hidden) > MAX_ITEMS:
                self._forget()
                return await self._known(ids)
            await self._read(unseen, tails, hidden)
            self._look_again()
        return tails, hidden

    async def _read(self, ids: Sequence[str], tails: Tails, hidden: dict[str, _Hidden]) -> None:
        found = await self._reader.items(ids)
        for item_id in ids:
            item = found.get(item_id)
            why = self._why(item or CatalogueItem(item_id, item_id))
            if why:
                hidden[item_id] = _Hidden(why, tail_of(item))
            else:
                tails[item_id] = tail_of(item)

    def _why(self, item: CatalogueItem) -> str:
        if item.is_sold_out:
            return "sold_out"
        return "blocked" if self._effects.any and self._effects.of(item).blocked else ""

    def _refresh(self) -> None:
        now_s, rules = self._clock(), self._shop.rules
        if rules is self._rules and self._looked_s <= now_s < self._good_until_s:
            return
        if rules is not self._rules or not 0 <= now_s - self._looked_s < WINDOWS_S:
            open_now = in_force(rules.rules, self._placement, int(now_s * 1000), rules.zone)
            names = tuple(rule.name for rule in open_now)
            if rules is not self._rules or names != self._open:
                self._effects = Effects(rule for rule in open_now if rule.action == "block")
                self._forget()
            self._rules, self._open, self._looked_s = rules, names, now_s
        age_s = now_s - self._since_s
        if not 0 <= age_s < MAX_AGE_S or not len(self._tails):
            self._forget()
        elif age_s >= RENEW_S and self._renewing is None and now_s >= self._not_before_s:
            self._not_before_s = now_s + _AGAIN_S
            self._renewing = asyncio.create_task(self._renew(now_s))
        self._good_until_s = min(self._looked_s + WINDOWS_S, self._since_s + RENEW_S)

    def _look_again(self) -> None:
        """Later, whether or not somebody asks: a pause is no reason to let pages wait."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(RENEW_S + _A_LITTLE_S, self._look)

    def _look(self) -> None:
        self._timer = None
        self._refresh()
        if self._renewing is None and len(self._tails):
            self._look_again()

    def _forget(self) -> None:
        self._tails, self._hidden = no_tails(), {}
        self._shown_before.clear()
        self._since_s, self._not_before_s = self._clock(), 0.0

    async def _renew(self, now_s: float) -> None:
        before, tails, hidden = self._tails, no_tails(), dict[str, _Hidden]()
        try:
            shown = before.asked_for()
            ids = list(dict.fromkeys(chain(shown, *self._shown_before)))
            for at in range(0, len(ids), _AT_ONCE):
                await self._read(ids[at : at + _AT_ONCE], tails, hidden)
            if self._tails is before:  # otherwise other rules are in force, and all is forgotten
                self._tails, self._hidden, self._since_s = tails, hidden, now_s
                self._shown_before.append(shown)
                self._good_until_s = self._not_before_s = 0.0
                if ids:
                    self._look_again()
        except ConnectionFailedError:
            pass  # what is known stays good for a while, then whoever asks is told
        finally:
            self._renewing = None
