"""The known names that a mistyped one may stand for: what an error can offer."""

import difflib
from collections.abc import Iterable


def nearest_names(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """At most `most` of the known names, the nearest first; upper and lower case are alike.

    >>> nearest_names("Vmis_kn", ["pop", "vmis-knn", "vstan"]), nearest_names("x", ["pop"])
    (['vmis-knn'], [])
    """
    told = {each.lower(): each for each in sorted(known, reverse=True)}
    return [told[near] for near in difflib.get_close_matches(name.lower(), told, n=most)]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence to put behind an error's first; empty where nothing is near.

    >>> did_you_mean("sasrek", ["gru4rec", "sasrec"])
    ' Did you mean sasrec?'
    """
    near = nearest_names(name, known)
    return f" Did you mean {near[0]}?" if near else ""
