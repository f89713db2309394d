"""Purchases as sessions, for what `endcap segments` learns and is judged by."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from endcap.deploy.campaign_data import needs_marketing
from endcap.errors import DataError
from endcap.events import EventType
from endcap.sessions import Act, Session, fold_acts

if TYPE_CHECKING:
    import polars as pl

COMPLETE_JOURNEY = "completejourney"
JUDGED_DAYS = 91
_PURCHASE = EventType.PURCHASE.code
_DAY_MS = 86_400_000


class Learned(NamedTuple):
    """What a segment model is made of: purchase lines, each shopper's session after them, and when
    the last of them was."""

    lines: "pl.DataFrame"
    sessions: list[Session]
    until_ms: int


def read_purchases(source: str) -> "pl.DataFrame":
    """`completejourney`, or a Parquet or CSV file of purchase lines.

    Raises:
        DataError: it cannot be read, or lacks a column.
    """
    needs_marketing()
    import polars as pl

    from endcap.export.completejourney import data_folder
    from endcap.marketing.completejourney import purchase_lines
    from endcap.marketing.segment_training import checked_lines

    if source == COMPLETE_JOURNEY:
        return checked_lines(purchase_lines(data_folder()), source)
    file = Path(source)
    try:
        lines = pl.read_csv(file) if file.suffix == ".csv" else pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{file} cannot be read: {error}. Name a .parquet or .csv file of purchase lines, or "
            f"{COMPLETE_JOURNEY}."
        ) from error
    return checked_lines(lines, source)


def learned_from(lines: "pl.DataFrame") -> Learned:
    """Each shopper's session after these purchases, by the fold that the session worker uses."""
    baskets = (
        lines.group_by("user_id", "timestamp_ms").agg("item_id").sort("user_id", "timestamp_ms")
    )
    acts: dict[str, list[Act]] = {}
    for user_id, when_ms, items in baskets.iter_rows():
        acts.setdefault(user_id, []).append(Act(when_ms, _PURCHASE, b"", tuple(items)))
    sessions = [fold_acts(Session(user_id), each) for user_id, each in acts.items()]
    return Learned(lines, sessions, int(lines["timestamp_ms"].max()))  # type: ignore[arg-type]


def judged(lines: "pl.DataFrame") -> dict[str, Any]:
    """Learn from all but the last 13 weeks, and foretell these.

    Raises:
        DataError: the purchases do not reach back far enough.
    """
    import polars as pl

    from endcap.marketing.lifetime_value import History
    from endcap.marketing.segment_model import remembered
    from endcap.marketing.segment_training import item_facts, judge_visits

    last_ms = int(lines["timestamp_ms"].max())  # type: ignore[arg-type]
    cut_ms = last_ms // _DAY_MS * _DAY_MS - JUDGED_DAYS * _DAY_MS
    before = lines.filter(pl.col("timestamp_ms") < cut_ms)
    if before.is_empty():
        raise DataError(
            f"All purchases lie within {JUDGED_DAYS} days; nothing is left to learn from."
        )
    learned = learned_from(before)
    facts = item_facts(before)
    day = (pl.col("timestamp_ms") // _DAY_MS).alias("day")
    days = before.select("user_id", day).unique()
    then = lines.filter(pl.col("timestamp_ms") >= cut_ms).select("user_id", day).unique()
    whole = days.group_by("user_id").agg(
        pl.len().alias("visits"),
        pl.col("day").min().alias("first"),
        pl.col("day").max().alias("last"),
    )
    came = then.group_by("user_id").agg(pl.len().alias("came"))
    rows = {
        row["user_id"]: row
        for row in whole.join(came, on="user_id", how="left").iter_rows(named=True)
    }
    known, ordered = [], []
    for session in learned.sessions:
        found = remembered(session, facts)
        if found is not None:
            known.append(found)
            ordered.append(rows[session.user_id])
    visits, first, last, later = (
        np.array([row[name] or 0 for row in ordered], np.float64)
        for name in ("visits", "first", "last", "came")
    )
    truth = History(visits - 1, last - first, cut_ms // _DAY_MS - first)
    return (
        {
            "days": JUDGED_DAYS,
            "cut": f"{datetime.fromtimestamp(cut_ms / 1000, UTC):%F}",
        }
        | judge_visits(known, truth, cut_ms, later, JUDGED_DAYS)
        | discounts(learned, facts, before)
        | states(learned, facts, lines, cut_ms)
    )


def states(learned: Learned, facts: Any, lines: "pl.DataFrame", cut_ms: int) -> dict[str, Any]:
    """Of shoppers in each state at the cut, how many came within the next 28 days."""
    import polars as pl

    from endcap.marketing.segment_model import SOON_DAYS, segment_of
    from endcap.marketing.segment_training import build_model
    from endcap.segments import state_at

    model = build_model(learned.sessions, facts, cut_ms, "")
    soon = pl.col("timestamp_ms").is_between(cut_ms, cut_ms + SOON_DAYS * _DAY_MS)
    came = set(lines.filter(soon)["user_id"])
    counts: dict[str, list[int]] = {}
    for session in learned.sessions:
        segment = segment_of(session, model, cut_ms, 1)
        if segment is not None:
            row = counts.setdefault(state_at(segment, cut_ms), [0, 0])
            row[0] += 1
            row[1] += session.user_id in came
    return {
        "states": {
            state: {"shoppers": n, "came_within_28_days": round(back / n, 4)}
            for state, (n, back) in sorted(counts.items())
        }
    }


def discounts(learned: Learned, facts: Any, lines: "pl.DataFrame") -> dict[str, float]:
    """How well the discount share of a shopper's items tells the share of their own purchases that
    were at a discount; a rank correlation."""
    import polars as pl
    from scipy.stats import spearmanr

    from endcap.marketing.segment_model import discount_share

    own = dict(
        lines.group_by("user_id").agg(pl.col("discounted").cast(pl.Float64).mean()).iter_rows()
    )
    told = [discount_share(each, facts) for each in learned.sessions]
    truth = [own[each.user_id] for each in learned.sessions]
    return {"discount_rank_correlation": round(float(spearmanr(told, truth).statistic), 4)}
