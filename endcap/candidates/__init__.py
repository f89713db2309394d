"""Which items are worth scoring for a shopper, and what is known of each."""

from endcap.candidates.gather import (
    FEATURES,
    Candidates,
    Shopper,
    gather_candidates,
    shopper_from_session,
)

__all__ = ["FEATURES", "Candidates", "Shopper", "gather_candidates", "shopper_from_session"]
