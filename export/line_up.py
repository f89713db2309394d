"""The opponents' slates: each tuned on validation, then fit on all that is known."""

from collections.abc import Sequence

from endcap.arrays import IntArray
from endcap.export.data.interactions import Split
from endcap.export.opponents.tuning import Budget, Tuned, fit, tune
from endcap.export.progress import Progress


def opponents_slates(
    names: Sequence[str], split: Split, n_items: int, budget: Budget, seed: int, progress: Progress
) -> tuple[dict[str, IntArray], dict[str, Tuned]]:
    """Slates of the test [n, 20] by opponent, and how each was chosen."""
    slates: dict[str, IntArray] = {}
    chosen: dict[str, Tuned] = {}
    for name in names:
        tuned = tune(name, split.train, split.validation, n_items, budget, seed, progress)
        ranker = tuned.ranker
        if split.known is not split.train:
            ranker = fit(name, split.known, n_items, tuned.best.choices, seed)
        slates[name] = ranker.slates(split.test)
        chosen[name] = tuned
    return slates, chosen
