"""Which items are worth scoring for a shopper, and what is known of each."""

from endcap.candidates.gather import FEATURES, GENERATED, Candidates, gather_candidates
from endcap.candidates.shopper import CONTEXT, Shopper, shopper_from_session

__all__ = [
    "CONTEXT",
    "FEATURES",
    "GENERATED",
    "Candidates",
    "Shopper",
    "gather_candidates",
    "shopper_from_session",
]
