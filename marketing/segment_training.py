"""What is learned from all shoppers' sessions, and how well it foretells who comes again."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import spearmanr

from endcap.errors import DataError
from endcap.marketing.lifetime_value import (
    Array,
    History,
    chance_away,
    expected_spend,
    expected_visits,
    fit_bg_nbd,
    fit_gamma_gamma,
)
from endcap.marketing.segment_model import (
    YEAR_DAYS,
    ItemFacts,
    Remembered,
    SegmentModel,
    history_of,
    remembered,
    segment_of,
)
from endcap.sessions import Session

COLUMNS = ("user_id", "item_id", "timestamp_ms", "price", "quantity")
MORE_COLUMNS = ("category", "brand", "discounted")


def checked_lines(lines: pl.DataFrame, name: str) -> pl.DataFrame:
    """Purchase lines with all columns, in time order; what is not told is empty.

    Raises:
        DataError: a column is missing, or there is no line.
    """
    missing = [column for column in COLUMNS if column not in lines.columns]
    if missing:
        raise DataError(
            f"{name} has no {', '.join(missing)}. It needs {', '.join(COLUMNS)}; and may have "
            f"{', '.join(MORE_COLUMNS)}."
        )
    if lines.is_empty():
        raise DataError(
            f"{name} has no purchases: no history, no segments. Give it some months of sales."
        )
    told = {"category": pl.lit(""), "brand": pl.lit(""), "discounted": pl.lit(False)}
    return (
        lines.with_columns(
            value.alias(key) for key, value in told.items() if key not in lines.columns
        )
        .with_columns(pl.col("user_id", "item_id").cast(pl.String))
        .sort("timestamp_ms", "user_id", "item_id")
    )


def item_facts(lines: pl.DataFrame) -> dict[str, ItemFacts]:
    """Of every item that was sold."""
    rows = lines.group_by("item_id").agg(
        pl.col("price").median(),
        pl.col("discounted").cast(pl.Float64).mean(),
        pl.col("category", "brand").last(),
    )
    return {
        row["item_id"]: ItemFacts(
            round(row["price"], 2),
            round(row["discounted"], 4),
            row["category"] or "",
            row["brand"] or "",
        )
        for row in rows.sort("item_id").iter_rows(named=True)
    }


def build_model(
    sessions: Sequence[Session], items: Mapping[str, ItemFacts], now_ms: int, learned_from: str
) -> SegmentModel:
    """Fit everything that a segment needs.

    Raises:
        DataError: too few shoppers came twice.
    """
    known = [found for each in sessions if (found := remembered(each, items)) is not None]
    history = history_of(known, now_ms)
    visits = fit_bg_nbd(history)
    baskets = np.array([float(each.baskets) for each in known])
    paid = np.array([each.spend_per_visit for each in known])
    told = (baskets > 0) & (paid > 0)
    spend = fit_gamma_gamma(baskets[told], paid[told])
    worth = expected_spend(spend, baskets, paid)
    value = worth * expected_visits(visits, history, YEAR_DAYS)
    model = SegmentModel(
        visits,
        spend,
        (float(np.quantile(value, 1 / 3)), float(np.quantile(value, 2 / 3))),
        0.0,
        dict(items),
        learned_from,
        len(known),
    )
    made = [segment_of(each, model, now_ms, each.events_folded) for each in sessions]
    shares = [each.discount_share for each in made if each is not None]
    return SegmentModel(
        model.visits,
        model.spend,
        model.value_cuts,
        float(np.quantile(shares, 0.75)),
        model.items,
        learned_from,
        len(known),
    )


def judge_visits(
    known: Sequence[Remembered],
    truth: History,
    cut_ms: int,
    later: NDArray[np.float64],
    days: float,
) -> dict[str, Any]:
    """Visits foretold for the `days` after the cut against those that came, `later` [N].

    Opponents of the same run: everybody's own rate so far, the average of all, and the same model
    on complete histories (`truth`) in place of what sessions remember.
    """
    held = history_of(known, cut_ms)
    ours = expected_visits(fit_bg_nbd(held), held, days)
    complete = expected_visits(fit_bg_nbd(truth), truth, days)
    rate = (truth.repeats + 1) / np.maximum(truth.age, 1) * days
    away = chance_away(fit_bg_nbd(held), held, days)
    gone = later == 0
    return {
        "visits_mae": {
            "sessions": _mae(ours, later),
            "complete_histories": _mae(complete, later),
            "own_rate": _mae(rate, later),
            "average": _mae(np.full(len(later), later.mean()), later),
        },
        "visits_rank_correlation": {
            "sessions": _rank(ours, later),
            "complete_histories": _rank(complete, later),
            "own_rate": _rank(rate, later),
        },
        "gone_auc": {
            "sessions": _auc(-ours, gone),
            "churn_risk": _auc(away, gone),
            "own_rate": _auc(-rate, gone),
            "recency": _auc(truth.age - truth.last, gone),
        },
        "gone": int(gone.sum()),
        "gone_expected": round(float(away.sum()), 1),
        "shoppers": len(later),
    }


def _mae(foretold: Array, came: Array) -> float:
    return round(float(np.abs(foretold - came).mean()), 4)


def _rank(foretold: Array, came: Array) -> float:
    return round(float(spearmanr(foretold, came).statistic), 4)


def _auc(scores: Array, gone: NDArray[np.bool_]) -> float | None:
    from sklearn.metrics import roc_auc_score

    if not 0 < gone.sum() < len(gone):
        return None
    return round(float(roc_auc_score(gone, scores)), 4)
