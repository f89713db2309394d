"""How many events sessions hold when a list is asked for, in a real shop.

Counted over the 60,858 test questions of Diginetica (CIKM Cup 2016, the SR-GNN and GCE-GNN split):
each prefix of a session is a question, so these are the lengths that a rescorer meets. The mean is
4.0; in the first 17,435 rows of REES46's October 2019 it is 4.7.
"""

import numpy as np
import numpy.typing as npt

from endcap.sessions import Session

COUNTS = (
    *(15963, 11446, 8341, 6128, 4617, 3431, 2574, 1967, 1497, 1136, 857, 646, 494, 386, 309, 239),
    *(174, 138, 105, 80, 61, 46, 39, 32, 26, 22, 19, 14, 12, 11, 10, 8, 7, 5, 4, 4, 3, 3, 2, 2),
)
"""Of one event, of two, and so on."""


def drawn_lengths(n: int, seed: int = 7) -> npt.NDArray[np.intp]:
    """`n` lengths with Diginetica's frequencies."""
    shares = np.array(COUNTS) / sum(COUNTS)
    return np.random.default_rng(seed).choice(np.arange(1, len(COUNTS) + 1), n, p=shares)


def cut_to(session: Session, length: int) -> Session:
    """The shopper as one of whom nothing but the newest `length` events is known."""
    kept = session.interactions[-length:]
    items = {past.item_id for past in kept}
    return Session(
        session.user_id,
        kept,
        (),
        tuple(past for past in session.purchased if past.item_id in items),
        len(kept),
        session.updated_ms,
    )
