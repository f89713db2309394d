"""What is told of each candidate, in the order in which it is told."""

import numpy as np

from endcap.arrays import FloatArray
from endcap.candidates.generators import Generators

FEATURES = (
    "times_bought",  # log(1 + transactions with it)
    "bought_recency",  # exp(-days since last bought / 30); 0 where never
    "bought_share",  # decayed count / the largest decayed count of the shopper
    "decayed_count",  # log(1 + count with a half-life)
    "due",  # time since last bought / the mean gap between purchases, at most 4; 0: no gap known
    "gap_known",  # 1 where bought at least twice
    "due_as_others",  # time since last bought, else last met / others' gap, at most 4; 0: new
    "returns",  # the share of its visits that were returns, over all shoppers
    "in_history",  # log(1 + events with it in the history)
    "views",  # log(1 + events with it that were neither cart nor purchase)
    "carts",  # log(1 + times put into the cart)
    "history_recency",  # 1 / (1 + events back), 0 where it is not in the history
    "history_time",  # exp(-days since the newest event with it); 0 where it is not in the history
    "last_viewed",  # 1 where the newest event with it was a view or a choice from a list
    "last_carted",
    "last_bought",
    "in_cart",
    "stan",
    "stan_near",  # of sessions with the newest item, what stands beside it
    "vmis_knn",
    "following",  # what came next after the newest items, decayed
    "preceding",  # what came before them
    "together",  # what stands in sessions with the newest items, decayed
    "alike",  # what stands in the histories of shoppers with the newest items, decayed
)
GENERATED = FEATURES.index("stan")
"""From here on a feature is a generator's score: 0 where it did not name the item."""

CONTEXT = (
    "history_length",  # log(1 + events in the history)
    "distinct_share",  # distinct items / events in the history
    "items_bought",  # log(1 + distinct items bought)
    "since_last_event",  # log(1 + seconds) / IDLE_BY
    "cart_size",  # log(1 + items in the cart)
    "last_was_view",
    "last_was_cart",
    "last_was_purchase",
)
IDLE_BY = 16.0
FACTS = ("popularity", "popularity_now")
INPUTS = (
    "log_probability",
    "cosine",
    *FEATURES,
    *(f"{name}_share" for name in FEATURES[GENERATED:]),  # of the generator's highest in the list
    *FACTS,
    *CONTEXT,
)
"""What the blend is told of each candidate: the first `BY_MODEL` by the Transformer, the others
when candidates are gathered."""
BY_MODEL = 2
_SHARES = BY_MODEL + len(FEATURES)
_FACTS = _SHARES + len(FEATURES) - GENERATED
_CONTEXT = _FACTS + len(FACTS)


def facts_of(generators: Generators) -> FloatArray:
    """Log popularities [V + 1, len(FACTS)]: of all events, and of the newest."""
    shares = np.stack([generators.popularity, generators.popularity_now], axis=1)
    logarithms: FloatArray = np.log(shares + 1e-6).astype(np.float32)
    return logarithms


def told_of(features: FloatArray, facts: FloatArray, context: FloatArray) -> FloatArray:
    """One shopper's inputs [n, len(INPUTS)] but for the model's: `features` [n, len(FEATURES)] and
    `facts` [n, len(FACTS)] of the items, `context` [len(CONTEXT)]."""
    told = np.zeros((features.shape[0], len(INPUTS)), np.float32)
    scores = features[:, GENERATED:]
    told[:, BY_MODEL:_SHARES] = features
    told[:, _SHARES:_FACTS] = scores / scores.max(axis=0, initial=0.0).clip(1e-6)
    told[:, _FACTS:_CONTEXT] = facts
    told[:, _CONTEXT:] = context
    return told
