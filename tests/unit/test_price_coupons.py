"""Coupons as features of a forecast: nothing of a week's own redemptions is in them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_up_weeks import made_up_weeks

from endcap.deploy.price_data import coupons_of, load_panel
from endcap.errors import DataError
from endcap.pricing.backtest import backtest, summary
from endcap.pricing.coupons import COLUMNS, coupon_features
from endcap.pricing.panel import panel_of


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    weeks = made_up_weeks(items=4, weeks=24)
    drawn = np.random.default_rng(1).uniform(0, 1, (weeks.height, len(COLUMNS)))
    return weeks.with_columns(pl.Series(name, drawn[:, n]) for n, name in enumerate(COLUMNS))


@pytest.mark.parametrize("horizon", [1, 3])
def test_what_is_redeemed_from_the_origin_on_changes_no_feature(
    table: pl.DataFrame, horizon: int
) -> None:
    panel, week = panel_of(table), 20
    later = pl.col("week") > week - horizon
    other = table.with_columns(
        pl.when(later).then(0.0).otherwise(pl.col(name)).alias(name)
        for name in ("coupon_share", "matched_share")
    )
    made = [coupon_features(each, panel, horizon)[:, week - 1] for each in (table, other)]
    np.testing.assert_array_equal(*made)
    after = [coupon_features(each, panel, horizon)[:, week] for each in (table, other)]
    assert not np.array_equal(*after)


def test_a_backtest_looks_at_coupons_until_the_week_that_is_named(
    table: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("endcap.pricing.forecast.TREES", 3)
    monkeypatch.setattr("endcap.pricing.forecast.BINS", 8)
    file = tmp_path / "weeks.parquet"
    table.write_parquet(file)
    panel = load_panel(file, until=22)
    assert panel.weeks[-1] == 22
    weekly = coupons_of(file, panel)
    assert weekly(1).shape == (4, 22, 4)
    found = summary(panel, backtest(panel, 1, (1,), weekly=weekly))
    assert found["held_out_weeks"] == [22]


def test_a_panel_without_coupons_and_one_of_later_weeks_are_told(tmp_path: Path) -> None:
    weeks = made_up_weeks(items=2, weeks=10)
    with pytest.raises(DataError, match="has no coupon_reach"):
        coupon_features(weeks, panel_of(weeks), 1)
    file = tmp_path / "weeks.csv"
    weeks.write_csv(file)
    with pytest.raises(DataError, match="nothing is there until 0"):
        load_panel(file, until=0)
