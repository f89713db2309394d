"""Which items are worth scoring for a shopper, and what is known of each."""

from endcap.candidates.features import CONTEXT, FEATURES, GENERATED, INPUTS
from endcap.candidates.gather import Candidates, gather_candidates
from endcap.candidates.gatherer import Gathered, Gatherer
from endcap.candidates.shopper import Crowd, Shopper, make_crowd, shopper_from_session

__all__ = [
    "CONTEXT",
    "FEATURES",
    "GENERATED",
    "INPUTS",
    "Candidates",
    "Crowd",
    "Gathered",
    "Gatherer",
    "Shopper",
    "gather_candidates",
    "make_crowd",
    "shopper_from_session",
]
