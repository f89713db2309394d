from collections.abc import Sequence
from typing import Any

from endcap.sessions import Interaction, Session

def columns_of(
    sessions: Sequence[Session],
    histories: Sequence[Sequence[Interaction]],
    carts: Sequence[Sequence[str]],
    index_of: dict[str, int],
    n_items: int,
) -> tuple[Any, ...]: ...
