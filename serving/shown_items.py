"""What answers say of items now, and which of them must not be shown."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from endcap.catalogue import CatalogueItem
from endcap.rules import RuleSet
from endcap.rules.effects import Effects
from endcap.rules.windows import in_force
from endcap.serving.shop_rules import ShopRules

MAX_AGE_S = 5.0
"""What is known of an item may be so old; a change of rules holds at once."""
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

    All are forgotten at once: an age for each would cost more than what reading them again does.
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
        self._looked_s = self._since_s = 0.0
        self._tails: dict[str, bytes] = {}
        self._hidden: dict[str, _Hidden] = {}

    def tails(self) -> dict[str, bytes]:
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

    async def _known(self, ids: Sequence[str]) -> tuple[dict[str, bytes], dict[str, _Hidden]]:
        """Tails of what may be shown, and what may not: each id is in one of them."""
        self._refresh()
        tails, hidden = self._tails, self._hidden
        unseen = [item_id for item_id in ids if item_id not in tails and item_id not in hidden]
        found = await self._reader.items(unseen) if unseen else {}
        for item_id in unseen:
            item = found.get(item_id)
            why = self._why(item or CatalogueItem(item_id, item_id))
            if why:
                hidden[item_id] = _Hidden(why, tail_of(item))
            else:
                tails[item_id] = tail_of(item)
        return tails, hidden

    def _why(self, item: CatalogueItem) -> str:
        if item.is_sold_out:
            return "sold_out"
        return "blocked" if self._effects.of(item).blocked else ""

    def _refresh(self) -> None:
        now_s, rules = self._clock(), self._shop.rules
        if rules is not self._rules or not 0 <= now_s - self._looked_s < WINDOWS_S:
            open_now = in_force(rules.rules, self._placement, int(now_s * 1000), rules.zone)
            names = tuple(rule.name for rule in open_now)
            if rules is not self._rules or names != self._open:
                self._effects = Effects(rule for rule in open_now if rule.action == "block")
                self._tails, self._hidden = {}, {}
            self._rules, self._open, self._looked_s = rules, names, now_s
        is_full = len(self._tails) + len(self._hidden) > MAX_ITEMS
        if is_full or not 0 <= now_s - self._since_s < MAX_AGE_S:
            self._tails, self._hidden, self._since_s = {}, {}, now_s
