"""The Transformer's states of households on the eve of each campaign, as features for uplift."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from endcap.arrays import FloatArray
from endcap.bundle import load_bundle
from endcap.errors import BundleError
from endcap.events import EventType
from endcap.sessions import Act, Session, fold_acts

if TYPE_CHECKING:
    from endcap.marketing.completejourney import Campaign, Journey
    from endcap.marketing.panel import Panel

DIMENSIONS = 8
"""Of the states' principal components: a few thousand addressed rows teach no more."""
_AT_ONCE = 256
_DAY_MS = 86_400_000
_PURCHASE = EventType.PURCHASE.code


def state_features(
    journey: "Journey", campaigns: "Sequence[Campaign]", folder: Path, threads: int = 1
) -> "Callable[[Panel], FloatArray]":
    """Columns [N, DIMENSIONS] for the rows of a panel of these campaigns.

    Each session is folded from the purchases before its campaign alone. The bundle's weights are
    not held back so: where they were trained on later weeks, this measures them too well.

    Raises:
        BundleError: the bundle has no stages, or its encoder does not load.
    """
    states = _states(journey, campaigns, folder, threads)
    stacked = np.concatenate(list(states.values()))
    centre = stacked.mean(axis=0)
    _, _, axes = np.linalg.svd(stacked - centre, full_matrices=False)
    turned = {place: (each - centre) @ axes[:DIMENSIONS].T for place, each in states.items()}

    def features(panel: "Panel") -> FloatArray:
        found = np.empty((len(panel.household), DIMENSIONS), np.float32)
        for place in np.unique(panel.campaign):
            rows = panel.campaign == place
            found[rows] = turned[int(place)][panel.household[rows]]
        return found

    return features


def _states(
    journey: "Journey", campaigns: "Sequence[Campaign]", folder: Path, threads: int
) -> dict[int, FloatArray]:
    """By place among the journey's campaigns: states [H, d]."""
    from endcap.export.completejourney import data_folder
    from endcap.marketing.completejourney import FIRST_DAY, purchase_lines
    from endcap.serving.stages import open_stages

    bundle = load_bundle(folder)
    if bundle.stages is None:
        raise BundleError(f"{folder} has no stages to take states from; train it again.")
    model = open_stages(bundle, bundle.stages, threads)
    baskets = (
        purchase_lines(data_folder())
        .group_by("timestamp_ms", "user_id", maintain_order=True)
        .agg("item_id")
        .sort("timestamp_ms", "user_id")
    )
    began_ms = (FIRST_DAY.toordinal() - 719_163) * _DAY_MS
    sessions = {user_id: Session(user_id) for user_id in journey.user_ids}
    rows, found = baskets.iter_rows(), dict[int, FloatArray]()
    waiting = next(rows, None)
    for campaign in sorted(campaigns, key=lambda each: each.start):
        acts: dict[str, list[Act]] = {}
        while waiting is not None and waiting[0] < began_ms + campaign.start * _DAY_MS:
            when_ms, user_id, items = waiting
            acts.setdefault(user_id, []).append(Act(when_ms, _PURCHASE, b"", tuple(items)))
            waiting = next(rows, None)
        for user_id, done in acts.items():
            sessions[user_id] = fold_acts(sessions[user_id], done)
        every = [sessions[user_id] for user_id in journey.user_ids]
        parts = [
            model.queries(bundle.crowd(every[first : first + _AT_ONCE]))
            for first in range(0, len(every), _AT_ONCE)
        ]
        found[journey.campaigns.index(campaign)] = np.concatenate(parts)
    return found
