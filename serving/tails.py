"""What closes the rows of answers, by the ids of their items: in a compiled table, or in a dict
where there is no compiler."""

from typing import TypeAlias

import msgspec

from endcap.serving.shown_list import IS_BUILT, row_ids, shown

if IS_BUILT:
    from endcap.serving import native_rows as native

HEAD_OF_OWN = b'{"source":"own",'
"""How an answer with a shopper's own list begins, in the place of that list's brace."""
_WITHOUT_SOURCE = len(b'{"source":"",')


class PlainTails:
    """As the compiled `Tails`."""

    def __init__(self) -> None:
        self._tails: dict[str, bytes] = {}
        self._asked_for: set[str] = set()

    def __len__(self) -> int:
        return len(self._tails)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._tails

    def __getitem__(self, item_id: str) -> bytes:
        tail = self._tails[item_id]
        self._asked_for.add(item_id)
        return tail

    def __setitem__(self, item_id: str, tail: bytes) -> None:
        self._tails[item_id] = tail
        self._asked_for.discard(item_id)

    def asked_for(self) -> list[str]:
        """The ids whose tails have been taken."""
        return list(self._asked_for)

    def joined(self, head: bytes, raw: bytes) -> bytes | None:
        """A list with `head` in the place of its opening brace and each row closed by the tail of
        its id; None where a tail is missing, or it is no list of ours."""
        try:
            ids = row_ids(raw)
            if not all(item_id in self._tails for item_id in ids):
                return None
            body = shown("", raw, self._tails)
        except msgspec.DecodeError:
            return None
        self._asked_for.update(ids)
        return head + body[_WITHOUT_SOURCE:]


Tails: TypeAlias = "native.Tails | PlainTails"


def no_tails() -> Tails:
    """None yet."""
    return native.Tails() if IS_BUILT else PlainTails()
