"""A row for each household and campaign: what was known when it began, and what came of it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from endcap.marketing.arrays import Floats
from endcap.marketing.completejourney import DAYS, Campaign, Journey

WINDOW = 28
"""Days from a campaign's first in which its outcome is counted: the shortest campaign lasts 32."""
_HISTORY = 56
"""Days that must lie before a campaign: households are described by them."""
FEATURES = (
    *("spend_7", "spend_28", "spend_56", "visits_28", "visits_56", "spend_a_visit", "recency"),
    *("promoted_28", "promoted_56", "promoted_share", "promoted_days", "discount_share"),
    *("coupons_56", "redeemed_ever", "addressed_before", "addressed_same_kind"),
    *("days_since_addressed", "running", "kind_a", "kind_b", "kind_c", "size", "usual"),
)


class Panel(NamedTuple):
    """`x` [N, len(FEATURES)]: known on the eve of the campaign. `addressed` [N] of 0 and 1.
    `household`, `campaign` [N]: rows of the journey, places among its campaigns.
    `promoted`, `total` [N]: dollars in the window, on what the coupons are for and on everything.
    """

    x: Floats
    addressed: NDArray[np.int8]
    household: NDArray[np.int64]
    campaign: NDArray[np.int64]
    promoted: Floats
    total: Floats

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Panel":
        """Some of the rows."""
        return Panel._make([column[chosen] for column in self])


def judged_campaigns(journey: Journey, least: int = 25) -> list[Campaign]:
    """Those with enough days before and behind them, and `least` households addressed."""
    return [
        each
        for each in journey.campaigns
        if each.start >= _HISTORY
        and each.start + WINDOW <= DAYS
        and journey.addressed[each.campaign_id].sum() >= least
    ]


def panel_of(journey: Journey, campaigns: Sequence[Campaign], shift: int = 0) -> Panel:
    """All households in each of the campaigns.

    `shift`: pretend that each campaign began so many days earlier. With a whole window nobody can
    have reacted to it: what is "found" there is not the campaign's doing.
    """
    parts = [_rows(journey, each, each.start - shift) for each in campaigns]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Panel._make(columns)


def known_at(journey: Journey, campaign: Campaign, at: int) -> Floats:
    """Features [H, len(FEATURES)] of all households if the campaign began on day `at`."""
    columns = _known(journey, campaign, journey.promoted[campaign.campaign_id], at)
    return np.stack([columns[name] for name in FEATURES], axis=1).astype(np.float32)


def _rows(journey: Journey, campaign: Campaign, at: int) -> Panel:
    promoted = journey.promoted[campaign.campaign_id]
    size = len(journey.households)
    place = journey.campaigns.index(campaign)
    return Panel(
        known_at(journey, campaign, at),
        journey.addressed[campaign.campaign_id].astype(np.int8),
        np.arange(size),
        np.full(size, place),
        promoted[:, at : at + WINDOW].sum(axis=1),
        journey.spend[:, at : at + WINDOW].sum(axis=1),
    )


def _known(journey: Journey, campaign: Campaign, promoted: Floats, at: int) -> dict[str, Floats]:
    def last(table: Floats, days: int) -> Floats:
        return np.asarray(table[:, max(0, at - days) : at].sum(axis=1))

    size = len(journey.households)
    spend, visits = last(journey.spend, _HISTORY), last(journey.visits, _HISTORY)
    bought = journey.visits[:, :at] > 0
    recency = np.where(bought.any(axis=1), bought[:, ::-1].argmax(axis=1), at)
    earlier = [each for each in journey.campaigns if each.start < at and each != campaign]
    addressed = np.zeros((4, size))
    addressed[3] = at
    for each in earlier:
        was = journey.addressed[each.campaign_id]
        addressed[0] += was
        addressed[1] += was & (each.kind == campaign.kind)
        addressed[2] += was & (each.end >= at)
        addressed[3] = np.where(was, np.minimum(addressed[3], at - each.start), addressed[3])
    of_it = last(promoted, _HISTORY)
    discount = last(journey.discount, _HISTORY)
    return {
        "spend_7": np.log1p(last(journey.spend, 7)),
        "spend_28": np.log1p(last(journey.spend, 28)),
        "spend_56": np.log1p(spend),
        "visits_28": last(journey.visits, 28),
        "visits_56": visits,
        "spend_a_visit": np.log1p(spend / np.maximum(visits, 1)),
        "recency": recency,
        "promoted_28": np.log1p(last(promoted, 28)),
        "promoted_56": np.log1p(of_it),
        "promoted_share": of_it / np.maximum(spend, 1),
        "promoted_days": last((promoted > 0).astype(np.float32), _HISTORY),
        "discount_share": discount / np.maximum(spend + discount, 1),
        "coupons_56": np.log1p(last(journey.coupon, _HISTORY)),
        "redeemed_ever": np.log1p(last(journey.redeemed, at)),
        "addressed_before": addressed[0],
        "addressed_same_kind": addressed[1],
        "days_since_addressed": addressed[3],
        "running": addressed[2],
        "kind_a": np.full(size, float(campaign.kind == "A")),
        "kind_b": np.full(size, float(campaign.kind == "B")),
        "kind_c": np.full(size, float(campaign.kind == "C")),
        "size": np.full(size, np.log1p(of_it.sum())),
        "usual": np.full(size, of_it.mean()),
    }
