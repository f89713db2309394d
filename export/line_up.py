"""The opponents' slates: each tuned on validation, then fit on all that is known."""

from pathlib import Path
from typing import NamedTuple

from endcap.arrays import IntArray
from endcap.export.data.interactions import Split
from endcap.export.kept_slates import kept_slates
from endcap.export.opponents.tuning import Budget, fit, tune
from endcap.export.progress import Progress


class Rivals(NamedTuple):
    """Who is asked beside us, how much each is tuned, and where its answers are kept."""

    names: tuple[str, ...]
    budget: Budget
    seed: int
    folder: Path


def opponents_slates(
    rivals: Rivals, split: Split, n_items: int, progress: Progress
) -> dict[str, IntArray]:
    """Slates of the test [n, 20] by opponent; what an earlier run left in the folder stands."""
    if not rivals.names:
        return {}
    kept = kept_slates(rivals.folder, split, n_items, rivals.budget, rivals.seed)
    slates: dict[str, IntArray] = {}
    for name in rivals.names:
        earlier = kept.find(name)
        if earlier is not None:
            progress.say(f"{name}: as an earlier run tuned it; its answers lie in {kept.folder}")
            slates[name] = earlier
            continue
        tuned = tune(
            name, split.train, split.validation, n_items, rivals.budget, rivals.seed, progress
        )
        ranker = tuned.ranker
        if split.known is not split.train:
            ranker = fit(name, split.known, n_items, tuned.best.choices, rivals.seed)
        slates[name] = ranker.slates(split.test)
        kept.store(tuned, slates[name])
    return slates
