"""What is told of each candidate, in the order in which it is told."""

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
