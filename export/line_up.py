"""The opponents' slates: each tuned on validation, then fit on all that is known."""

from collections.abc import Sequence

from endcap.arrays import IntArray
from endcap.export.data.interactions import Split
from endcap.export.opponents.tuning import Budget, fit, tune
from endcap.export.progress import Progress


def opponents_slates(
    names: Sequence[str], split: Split, n_items: int, budget: Budget, seed: int, progress: Progress
) -> dict[str, IntArray]:
    """Slates of the test [n, 20] by opponent."""
    slates: dict[str, IntArray] = {}
    for name in names:
        tuned = tune(name, split.train, split.validation, n_items, budget, seed, progress)
        ranker = tuned.ranker
        if split.known is not split.train:
            ranker = fit(name, split.known, n_items, tuned.best.choices, seed)
        slates[name] = ranker.slates(split.test)
    return slates
