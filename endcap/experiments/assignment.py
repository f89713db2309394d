"""Who is in which variant: a stable hash of the shopper and of the experiment's name."""

from collections.abc import Iterable

import xxhash

from endcap.experiments.definition import HOLDOUT, Experiment


def place_of(user_id: str, experiment: str) -> float:
    """Where a shopper stands between 0 and 1 in an experiment: always the same, on every machine.

    Another experiment's name gives another place that says nothing of this one.

    >>> 0 <= place_of("u7", "summer") < 1, place_of("u7", "summer") == place_of("u7", "winter")
    (True, False)
    """
    digest = xxhash.xxh64_intdigest(f"{experiment}\0{user_id}".encode())
    return (digest >> 11) / 2**53  # all that a float holds: it never rounds up to 1


def variant_of(experiment: Experiment, user_id: str) -> str | None:
    """The shopper's variant; None for who is in none.

    Variants lie one behind the other from 0, the holdout ends at 1: a share that grows at the end
    moves nobody who is in another.
    """
    place = place_of(user_id, experiment.name)
    if place >= 1 - experiment.holdout:
        return HOLDOUT
    reach = 0.0
    for variant in experiment.variants:
        reach += variant.share
        if place < reach:
            return variant.name
    return None


def spell(variants: Iterable[tuple[str, str]]) -> str:
    """Experiments and the variant in each, as a list and its impressions name them.

    >>> spell([("summer", "new-model"), ("slate", "control")])
    'summer=new-model,slate=control'
    """
    return ",".join(f"{experiment}={variant}" for experiment, variant in variants)


def variant_in(spelled: str | None, experiment: str) -> str | None:
    """What a list or an impression says of one experiment; None: nothing.

    >>> variant_in("summer=new-model,slate=control", "slate")
    'control'
    """
    for part in (spelled or "").split(","):
        name, _, variant = part.partition("=")
        if name == experiment:
            return variant or None
    return None
