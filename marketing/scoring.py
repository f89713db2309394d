"""Expected uplift of every household for a new campaign, learned from all that have ended."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from endcap.errors import DataError
from endcap.marketing.assignment import Candidate
from endcap.marketing.completejourney import DAYS, Campaign, Journey
from endcap.marketing.definition import CampaignFile
from endcap.marketing.feature_segments import segment_names
from endcap.marketing.nuisances import cross_fitted
from endcap.marketing.panel import judged_campaigns, known_at, panel_of
from endcap.marketing.uplift import Lesson, fit_x_learner


class Goods(NamedTuple):
    """An item that the uplift of a campaign is of."""

    campaign: str
    item_id: str


def score_households(journey: Journey, file: CampaignFile) -> list[Candidate]:
    """For each campaign of the file, as if it began on the day after the data's last.

    The data name nobody's consent. Who was ever addressed by mail counts as having given it, and
    nobody else; contacts are the campaigns that began within `rest_days`.

    Raises:
        DataError: a campaign is not `like` one of the data.
    """
    panel = panel_of(journey, judged_campaigns(journey))
    outcome = panel.promoted.astype(np.float64)
    found = cross_fitted(panel.x, panel.addressed, outcome, panel.household)
    predict = fit_x_learner(Lesson(panel.x, panel.addressed, outcome, found))
    consents = np.any(list(journey.addressed.values()), axis=0)
    contacts = np.sum(
        [
            journey.addressed[each.campaign_id]
            for each in journey.campaigns
            if DAYS - file.rest_days <= each.start < DAYS
        ],
        axis=0,
        initial=0,
    )
    candidates: list[Candidate] = []
    for plan in file.campaigns:
        known = known_at(journey, _like(journey.campaigns, plan.name, plan.like), DAYS)
        uplifts = predict(known)
        candidates += [
            Candidate(*row)
            for row in zip(
                journey.user_ids,
                [plan.name] * len(uplifts),
                uplifts.round(4).tolist(),
                consents.tolist(),
                contacts.tolist(),
                segment_names(known).tolist(),
                strict=True,
            )
        ]
    return candidates


def promoted_goods(folder: Path, file: CampaignFile) -> list[Goods]:
    """What the coupons of the campaigns that those of the file are `like` are for."""
    coupons = pl.read_parquet(folder / "coupons.parquet").select("campaign_id", "product_id")
    return [
        Goods(plan.name, str(item))
        for plan in file.campaigns
        for item in coupons.filter(pl.col("campaign_id") == plan.like)["product_id"].unique().sort()
    ]


def _like(campaigns: Sequence[Campaign], name: str, like: int | None) -> Campaign:
    for each in campaigns:
        if each.campaign_id == like:
            return each
    numbers = ", ".join(str(each) for each in sorted(each.campaign_id for each in campaigns))
    raise DataError(
        f"The campaign {name} must say which campaign of the data it is `like`: one of {numbers}."
    )
