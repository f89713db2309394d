from collections.abc import Sequence
from typing import Any

from endcap.arrays import LongArray
from endcap.sessions import Session

def columns_of(
    sessions: Sequence[Session], now_ms: LongArray, index_of: dict[str, int], n_items: int
) -> tuple[Any, ...]: ...
