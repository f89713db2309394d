"""A session of nobody: some items, just put into an empty cart."""

import time
from collections.abc import Sequence

from endcap.events import EventType
from endcap.sessions import Act, Session, fold_acts


def cart_session(item_ids: Sequence[str], user_id: str = "recommend") -> Session:
    """As if the items had just been put into the cart, one after the other."""
    now_ms = int(time.time() * 1000)
    code = EventType.ADD_TO_CART.code
    acts = [
        Act(now_ms - len(item_ids) + at, code, at.to_bytes(8), (item_id,))
        for at, item_id in enumerate(item_ids)
    ]
    return fold_acts(Session(user_id), acts)
