"""What is known of a household on the eve of a campaign holds nothing of what came after."""

import numpy as np

from endcap.marketing.completejourney import DAYS, Campaign, Journey
from endcap.marketing.panel import WINDOW, known_at, panel_of

AT = 100


def journey() -> Journey:
    rng = np.random.default_rng(0)

    def table() -> np.ndarray:
        return rng.gamma(0.3, 10, (40, DAYS)).astype(np.float32)

    campaigns = (Campaign(1, "A", AT - 30, AT + 10), Campaign(2, "B", AT, AT + 40))
    addressed = {each.campaign_id: rng.random(40) < 0.4 for each in campaigns}
    promoted = {each.campaign_id: table() for each in campaigns}
    tables = [table() for _ in range(5)]
    return Journey(np.arange(40), campaigns, *tables, promoted, addressed)


def test_nothing_after_the_eve_changes_what_is_known() -> None:
    before = journey()
    after = journey()
    for table in (after.spend, after.visits, after.discount, after.coupon, after.redeemed):
        table[:, AT:] = 0
    after.promoted[2][:, AT:] = 0
    campaign = before.campaigns[1]
    assert np.array_equal(known_at(before, campaign, AT), known_at(after, campaign, AT))


def test_a_panel_has_a_row_for_each_household_and_its_outcome_is_the_windows() -> None:
    shop = journey()
    panel = panel_of(shop, shop.campaigns)
    assert len(panel.x) == 80
    second = panel.rows(panel.campaign == 1)
    assert np.allclose(second.total, shop.spend[:, AT : AT + WINDOW].sum(axis=1))
    assert np.array_equal(second.addressed == 1, shop.addressed[2])
