"""What the judged campaigns were expected to bring and brought, by segment; and whom they reach."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from endcap.marketing.arrays import Floats
from endcap.marketing.completejourney import Journey
from endcap.marketing.evaluation import Judged
from endcap.marketing.feature_segments import segment_names
from endcap.marketing.qini import household_weights, interval_of

REACHED = 0.3
"""The share of a campaign's shoppers that is addressed when reach is compared."""
GROUPS = ("age", "income", "household_size", "kids_count", "home_ownership")
LEAST_IN_GROUP = 30
"""Of smaller groups nothing is told: too few to say anything, and few enough to be known."""
FOUR_FIFTHS = 0.8
"""A group reached less than four fifths as often as the one reached most is told as such (the US
Uniform Guidelines on Employee Selection, 29 CFR 1607.4 D, as a rule of thumb)."""


def by_segment(judged: Judged) -> list[dict[str, Any]]:
    """Expected uplift (the learner's) and achieved (doubly robust, with its interval), dollars."""
    names, found = segment_names(judged.panel.x), []
    expected = judged.predicted["uplift"]
    for name in sorted(set(names.tolist())):
        rows = names == name
        if rows.sum() < LEAST_IN_GROUP:
            continue
        effects = judged.effects[rows]
        weights = household_weights(judged.panel.household[rows])
        achieved = interval_of(float(effects.mean()), weights @ effects / weights.sum(axis=1))
        found.append(
            {
                "segment": name,
                "rows": int(rows.sum()),
                "addressed": int(judged.panel.addressed[rows].sum()),
                "expected": round(float(expected[rows].mean()), 4),
                "achieved": round(achieved.value, 4),
                "interval": [round(achieved.low, 4), round(achieved.high, 4)],
            }
        )
    return found


def reach_by_group(judged: Judged, journey: Journey, folder: Path) -> list[dict[str, Any]]:
    """How many of each demographic group are among the first `REACHED` of their campaign, by uplift
    and by response, and how many the shop addressed; with 95 % intervals over households.

    The groups, of the tables in `folder`, are looked at here alone: no ranking knows them.
    """
    told = pl.read_parquet(folder / "demographics.parquet").with_columns(
        pl.col(*GROUPS).cast(pl.String).fill_null("not told")
    )
    chosen = {
        "uplift": judged.places["uplift"] < REACHED,
        "response": judged.places["response"] < REACHED,
        "shop": judged.panel.addressed == 1,
    }
    found = []
    for attribute in GROUPS:
        names = dict(told.select("household_id", attribute).iter_rows())
        of_row = np.array(
            [names.get(int(each), "unknown") for each in journey.households], dtype=object
        )[judged.panel.household]
        for name in sorted(set(of_row.tolist())):
            rows = of_row == name
            if len(np.unique(judged.panel.household[rows])) < LEAST_IN_GROUP:
                continue
            found.append({"attribute": attribute, "group": name} | _reach(judged, rows, chosen))
    for each in found:
        best = max(other["uplift"][0] for other in found if other["attribute"] == each["attribute"])
        each["is_reached_less"] = bool(each["uplift"][0] < FOUR_FIFTHS * best)
    return found


def _reach(
    judged: Judged, rows: NDArray[np.bool_], chosen: dict[str, NDArray[np.bool_]]
) -> dict[str, Any]:
    household = judged.panel.household[rows]
    weights = household_weights(household)
    shares: dict[str, Any] = {"households": len(np.unique(household))}
    for name, is_chosen in chosen.items():
        each: Floats = is_chosen[rows].astype(np.float64)
        share = interval_of(float(each.mean()), weights @ each / weights.sum(axis=1))
        shares[name] = [round(value, 4) for value in share]
    return shares
