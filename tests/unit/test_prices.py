"""Prices: nothing of the future in a forecast, one price for everyone, and all rules kept."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_up_weeks import ELASTICITY, made_up_weeks
from typer.testing import CliRunner

from endcap.deploy.cli import app
from endcap.deploy.price_plot import wape_picture
from endcap.errors import DataError, EndcapError, SettingsError
from endcap.prices import (
    PriceLine,
    PriceProposal,
    PriceProposalError,
    Step,
    clashes,
    decode_proposal,
    encode_proposal,
    step,
)
from endcap.pricing import completejourney, forecast
from endcap.pricing.backtest import backtest, summary
from endcap.pricing.baselines import BASELINES
from endcap.pricing.elasticity import elasticities
from endcap.pricing.evidence_file import read_evidence, write_evidence
from endcap.pricing.forecast import Training
from endcap.pricing.live import SeenDemand, read_demand, update_level
from endcap.pricing.panel import Panel, panel_of, read_panel
from endcap.pricing.rules import Ladder, PriceRules, read_rules
from endcap.pricing.substitutes import Baskets, baskets_of, substitution
from endcap.pricing.suggest import Evidence, gather_evidence, suggest

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", autouse=True)
def few_trees() -> Iterator[None]:
    """A tenth of the trees over an eighth of the bins: what is asserted here does not hang on how
    good a forecast is, and a fit takes a tenth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecast, "TREES", 12)
        patch.setattr(forecast, "BINS", 16)
        yield


@pytest.fixture(scope="module")
def panel() -> Panel:
    return panel_of(made_up_weeks())


@pytest.fixture(scope="module")
def evidence(panel: Panel) -> Evidence:
    return gather_evidence(panel, substitution(panel))


@pytest.mark.parametrize("horizon", [1, 3])
def test_what_is_sold_from_the_forecast_week_on_changes_no_forecast(
    panel: Panel, horizon: int
) -> None:
    place = 35
    origin = place - horizon + 1
    units, lines = panel.units.copy(), panel.lines.copy()
    units[:, origin:] = 999
    lines[:, origin:] = 1
    prices = panel.price.copy()
    prices[:, origin:place] *= 3
    prices[:, place + 1 :] *= 3
    other = replace(panel, units=units, lines=lines, price=prices)
    made = []
    for one in (panel, other):
        history = one.first_weeks(origin)
        plan = one.plan(place, history)
        ours = Training(one, horizon).fit(origin, with_median=True)
        made.append(
            [
                ours.expected(history, plan),
                ours.middle(history, plan),
                *(baseline(history, plan, horizon) for baseline in BASELINES.values()),
            ]
        )
    for before, after in zip(*made, strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_dearer_plan_sells_less(panel: Panel) -> None:
    history = panel.first_weeks(39)
    plan = panel.plan(39, history)
    forecaster = Training(panel, 1).fit(39)
    row = 4
    units = []
    for factor in (0.8, 0.9, 1.0, 1.1):
        price = plan.price.copy()
        price[row] *= factor
        dearest = np.maximum(plan.regular_price, price)
        moved = plan._replace(price=price, regular_price=dearest)
        units.append(forecaster.expected(history, moved)[row])
    assert units[0] > units[-1]


def test_a_backtest_tells_every_baseline_and_ours_by_category(panel: Panel) -> None:
    found = summary(panel, backtest(panel, 2, (1,)))
    assert set(found["baselines"]) == set(BASELINES)
    assert found["best_baseline_wape"] == min(b["wape"] for b in found["baselines"].values())
    assert found["wape"] < found["baselines"]["naive"]["wape"]
    assert 0 < found["chance_wape"] < found["baselines"]["naive"]["wape"]
    assert {row["category"] for row in found["categories"]} == {"COFFEE", "TEA"}
    assert found["held_out_weeks"] == [39, 40]
    assert "<svg" in wape_picture(found)


def test_a_short_history_is_refused_with_what_it_needs(panel: Panel) -> None:
    with pytest.raises(DataError, match="weeks are too few"):
        backtest(panel.first_weeks(15), 6)


def test_elasticities_find_the_truth_and_thin_items_borrow_from_their_category(
    panel: Panel,
) -> None:
    found = elasticities(panel, substitution(panel))
    assert found.everywhere.mean["price"].low < ELASTICITY < found.everywhere.mean["price"].high
    told = [item.shrunk["price"] for item in found.items if "price" in item.own]
    inside = np.mean([effect.low <= ELASTICITY <= effect.high for effect in told])
    assert inside > 0.8
    off = [abs(item.own["price"].value - ELASTICITY) for item in found.items if "price" in item.own]
    assert np.mean([abs(one.value - ELASTICITY) for one in told]) < np.mean(off)


def test_of_a_price_that_never_moved_nothing_is_said_and_it_is_held(
    panel: Panel, evidence: Evidence
) -> None:
    still = evidence.effects.items[-1]
    assert "price" not in still.own
    assert "hardly moved" in still.warning
    assert still.shrunk["price"].error >= max(
        one.shrunk["price"].error for one in evidence.effects.items[12:-1]
    )
    row = suggest(evidence, "TEA", PriceRules())["items"][-1]
    assert row["price"] == row["price_today"]
    assert "held" in row["note"]


def test_a_shop_with_one_price_only_gets_a_warning_for_every_item() -> None:
    table = made_up_weeks(items=6, weeks=24).with_columns(pl.lit(2.49).alias("price"))
    table = table.with_columns(pl.lit(2.49).alias("regular_price"))
    panel = panel_of(table)
    found = elasticities(panel, substitution(panel))
    assert all("moved enough" in item.warning for item in found.items)
    made = suggest(gather_evidence(panel, substitution(panel)), "coffee", PriceRules())
    assert all(row["change"] == 0 for row in made["items"])


@pytest.mark.parametrize("objective", ["margin", "revenue"])
def test_suggested_prices_keep_every_rule(evidence: Evidence, objective: str) -> None:
    rules = PriceRules(objective=objective, endings=(9,), largest_change=0.08, changes=5)  # type: ignore[arg-type]
    found = suggest(evidence, "coffee", rules)
    moved = [row for row in found["items"] if row["price"] != row["price_today"]]
    assert 0 < len(moved) <= 5
    size = {item.item_id: (item.family, item.size) for item in evidence.panel.items}
    for row in moved:
        assert round(row["price"] * 100) % 10 == 9
        assert abs(row["change"]) <= 0.08 + 1e-4
        assert row["price"] >= row["cost"] / (1 - rules.least_margin) - 1e-6
    by_family: dict[str, list[dict[str, Any]]] = {}
    for row in found["items"]:
        by_family.setdefault(size[row["item_id"]][0], []).append(row)
    for small, large in by_family.values():
        if "below its floor" in small["note"] + large["note"]:
            continue
        # No ladder is broken that was not, and none more than it was.
        for ours, factor, theirs in ((large, 1.0, small), (small, 2.0, large)):
            now = factor * ours["price"] - theirs["price"]
            before = factor * ours["price_today"] - theirs["price_today"]
            assert now >= min(0.0, before) - 1e-6
    assert found["gain"][objective]["expected"] > 0
    assert "ASSUMED" in found["costs"]


def test_the_programme_finds_what_trying_everything_finds(evidence: Evidence) -> None:
    from itertools import product

    from endcap.pricing.demand_model import demand_model
    from endcap.pricing.optimise import Problem, optimise

    rows = np.arange(3)
    panel = evidence.panel.only(rows)
    today = evidence.today[rows]
    model = demand_model(evidence.effects, rows, today, evidence.level[rows], np.zeros((3, 3)), 0.1)
    rules = PriceRules(size_ladders=False, same_sizes=False, changes=2, endings=(9,))
    problem = Problem(
        panel.items, model, today * 0.6, today * 0.8, today * 1.2, (False, False, False)
    )
    chosen = optimise(problem, rules).prices

    def earned(prices: np.ndarray) -> float:
        return float((prices - problem.costs) @ model.units(prices))

    grids = []
    for price in today:
        cents = np.arange(np.ceil(price * 90), np.floor(price * 110) + 1)
        grids.append([price, *(c / 100 for c in cents if c % 10 == 9)])
    best = max(
        earned(np.array(prices))
        for prices in product(*grids)
        if sum(abs(p - t) > 1e-9 for p, t in zip(prices, today, strict=True)) <= 2
    )
    assert earned(chosen) == pytest.approx(best, rel=1e-4)


def test_costs_from_a_file_are_floors(evidence: Evidence, tmp_path: Path) -> None:
    rows = suggest(evidence, "coffee", PriceRules())["items"]
    dear = {row["item_id"]: row["price_today"] * 0.99 for row in rows}
    lines = [f"{item_id},{cost:.4f}" for item_id, cost in dear.items()]
    (tmp_path / "costs.csv").write_text("item_id,cost\n" + "\n".join(lines) + "\n")
    (tmp_path / "rules.yaml").write_text("costs: costs.csv\nleast_margin: 0.03\n")
    found = suggest(evidence, "coffee", read_rules(tmp_path / "rules.yaml"))
    assert "ASSUMED" not in found["costs"]
    for row in found["items"]:
        assert row["price"] * 0.97 >= row["cost"] - 1e-6 or "no allowed price" in row["note"]


def test_a_price_is_the_same_for_everyone(tmp_path: Path) -> None:
    """Who bought is exchanged at random: every price, of panel and suggestion, stays."""
    folders = []
    for name, shuffled in (("a", False), ("b", True)):
        folder = tmp_path / name
        folder.mkdir()
        _purchases(folder, shuffled)
        folders.append(folder)
    tables = [completejourney.weekly_table(folder, min_weeks=10) for folder in folders]
    assert tables[0].equals(tables[1])
    assert not [c for c in tables[0].columns if "household" in c or "user" in c]
    panel = panel_of(tables[0])
    made = [
        suggest(gather_evidence(one, substitution(one)), "COFFEE", PriceRules())
        for one in (panel, panel_of(tables[1]))
    ]
    assert made[0] == made[1]
    assert len({row["item_id"] for row in made[0]["items"]}) == len(made[0]["items"])


@pytest.fixture(scope="module")
def bought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bought")
    _purchases(folder, shuffled=False)
    return folder


@given(pool=st.lists(st.integers(1, 2**31), min_size=1, max_size=60), seed=st.integers(0, 2**32))
@settings(max_examples=8, deadline=None)
def test_whoever_buys_prices_come_from_the_same_panel_and_baskets(
    bought: Path, pool: list[int], seed: int
) -> None:
    """One household buys all, or everybody one line: what prices are made from has no part of it.

    Evidence and suggestions are functions of panel and baskets alone; their types say so.
    """
    sales = pl.read_parquet(bought / "transactions.parquet")
    buyers = np.random.default_rng(seed).choice(pool, sales.height)
    other = bought / "other"
    other.mkdir(exist_ok=True)
    for name in ("products", "promotions"):
        (other / f"{name}.parquet").write_bytes((bought / f"{name}.parquet").read_bytes())
    sales.with_columns(household_id=pl.Series(buyers)).write_parquet(other / "transactions.parquet")
    tables = [completejourney.weekly_table(each, min_weeks=10) for each in (bought, other)]
    assert tables[0].equals(tables[1])
    panels = [panel_of(each) for each in tables]
    baskets = [
        baskets_of(folder, one, 46) for folder, one in zip((bought, other), panels, strict=True)
    ]
    np.testing.assert_array_equal(*(substitution(panels[0], each) for each in baskets))


@given(
    place=st.sampled_from(["proposal", "line", "step"]),
    field=st.text(min_size=1, max_size=20),
    value=st.text(max_size=8) | st.integers() | st.none(),
)
def test_a_proposal_with_any_other_field_is_refused(place: str, field: str, value: object) -> None:
    raw = json.loads(encode_proposal(_proposal()))
    part = {"proposal": raw, "line": raw["lines"][0], "step": raw["steps"][0]}[place]
    assume(field not in {*part, "store_id", "evidence"})
    part[field] = value
    with pytest.raises(ValueError, match="unknown field"):
        decode_proposal(json.dumps(raw).encode())


@pytest.mark.parametrize("column", ["user_id", "household_id", "CustomerSegment"])
def test_a_panel_that_knows_people_is_refused(column: str) -> None:
    table = made_up_weeks(items=2).with_columns(pl.lit("x").alias(column))
    with pytest.raises(DataError, match="same for everyone"):
        panel_of(table)


def test_a_proposal_has_no_place_for_a_person() -> None:
    raw = json.loads(encode_proposal(_proposal()))
    assert decode_proposal(json.dumps(raw).encode()) == _proposal()
    raw["lines"][0]["user_id"] = "1364"
    with pytest.raises(ValueError, match="user_id"):
        decode_proposal(json.dumps(raw).encode())
    twice = (PriceLine("a", 1.0, 1.1), PriceLine("a", 1.0, 1.2))
    with pytest.raises(ValueError, match="one price"):
        PriceProposal("p", "COFFEE", twice, (Step("proposed", "ann", 1),))


def test_steps_of_a_proposal_have_an_order() -> None:
    approved = step(_proposal(), "approved", "ben", 2)
    assert step(approved, "rolled_back", "ann", 3).status == "rolled_back"
    for wrong, status in (
        (approved, "approved"),
        (_proposal(), "rolled_back"),
        (step(_proposal(), "refused", "ben", 2), "approved"),
    ):
        with pytest.raises(PriceProposalError, match="cannot become"):
            step(wrong, status, "ben", 4)  # type: ignore[arg-type]
    later = replace_id(step(_proposal(), "approved", "ben", 9), "q")
    assert clashes(approved, [approved, later]) == ("a",)
    assert clashes(later, [approved, later]) == ()


def test_demand_of_today_moves_the_forecast_by_as_much_as_it_has_seen(evidence: Evidence) -> None:
    panel, level = evidence.panel, evidence.level
    busy = {item.item_id: 3.0 * level[n] for n, item in enumerate(panel.items)}
    part = {name: number / 70 for name, number in busy.items()}
    week = update_level(level, panel, SeenDemand(busy, 7.0, "test"), 0.1).factor
    hour = update_level(level, panel, SeenDemand(part, 0.1, "test"), 0.1).factor
    assert (week > hour).all()
    assert (hour > 1).all()
    assert (week < 3.5).all()


def test_a_ladder_is_climbed_and_one_of_unknown_items_is_told(evidence: Evidence) -> None:
    made = suggest(evidence, "coffee", PriceRules(hold_unknown=False))["items"]
    cheap, dear = sorted(made, key=lambda row: float(row["price_today"]))[1:3]
    ladder = Ladder((cheap["item_id"], dear["item_id"]), gap=0.01)
    rows = suggest(evidence, "coffee", PriceRules(ladders=(ladder,)))["items"]
    prices = {row["item_id"]: (row["price_today"], row["price"], row["note"]) for row in rows}
    (low_today, low, low_note), (high_today, high, high_note) = (
        prices[item_id] for item_id in ladder.items
    )
    before = high_today / 1.01 - low_today
    assert high / 1.01 - low >= min(0.0, before) - 1e-6 or "below its floor" in low_note + high_note
    with pytest.raises(DataError, match="no item 'zz'"):
        suggest(evidence, "coffee", PriceRules(ladders=(Ladder(("i00", "zz")),)))


def test_evidence_survives_its_file(evidence: Evidence, tmp_path: Path) -> None:
    write_evidence(tmp_path / "e.npz", evidence)
    back = read_evidence(tmp_path / "e.npz")
    assert suggest(back, "tea", PriceRules()) == suggest(evidence, "tea", PriceRules())
    (tmp_path / "e.npz").write_bytes(b"not one of ours")
    with pytest.raises(DataError, match="make it anew"):
        read_evidence(tmp_path / "e.npz")


def test_substitutes_are_of_the_category_and_rarely_bought_together(panel: Panel) -> None:
    size = len(panel.items)
    of_pair = np.zeros((size, size))
    of_pair[0, 1] = of_pair[1, 0] = 400  # always together: no substitutes
    found = substitution(panel, Baskets(np.full(size, 500.0), of_pair, 5000))
    assert found[0, 1] == 0
    assert found[0, 2] > 0
    assert found[0, 12:].sum() == 0
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.drop("price"), "lacks price"),
        (lambda t: t.head(0), "no history"),
        (lambda t: pl.concat([t, t]), "two rows"),
        (lambda t: t.with_columns(-pl.col("units")), "negative"),
        (lambda t: t.with_columns(pl.lit(0.0).alias("price")), "price of 0"),
        (lambda t: t.with_columns(pl.col("week").cast(pl.String)), "integer"),
        (lambda t: t.with_columns(pl.lit("x").alias("units")), "must be numbers"),
    ],
)
def test_a_bad_panel_is_told(change: Callable[[pl.DataFrame], pl.DataFrame], says: str) -> None:
    with pytest.raises(DataError, match=says):
        panel_of(change(made_up_weeks(items=2, weeks=5)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("objektive: margin", "objektive"),
        ("largest_change: 2", "between 0 and 0.5"),
        ("endings: [100]", "0 to 99"),
        ("endings: []", "0 to 99"),
        ("objective: profit", "profit"),
        ("ladders: [{items: [a]}]", "two different items"),
        ("changes: -1", "negative"),
        ("margins: {GROCERY: 1.5}", "margins.GROCERY"),
        ("[", "rules.yaml"),
    ],
)
def test_bad_rules_are_told(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(text)
    with pytest.raises(SettingsError, match=says):
        read_rules(tmp_path / "rules.yaml")


def test_unknown_items_categories_and_files_are_told(panel: Panel, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no item 'zz'"):
        panel.row_of("zz")
    with pytest.raises(DataError, match="There are COFFEE"):
        panel.places_of("COFF")
    with pytest.raises(DataError, match="cannot be read as a panel"):
        read_panel(tmp_path / "none.parquet")
    (tmp_path / "d.csv").write_text("item_id,purchases,days\na,1,0\n")
    with pytest.raises(DataError, match="days"):
        read_demand(tmp_path / "d.csv")


def test_the_commands_print_one_object(tmp_path: Path) -> None:
    file = tmp_path / "weeks.parquet"
    made_up_weeks(items=8, weeks=26).write_parquet(file)
    run = CliRunner()
    words = ["price", "backtest", "--panel", str(file), "--weeks", "1", "--horizons", "1"]
    ended = run.invoke(app, [*words, "--report", str(tmp_path / "out"), "--old-prices", "--json"])
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert {"wape", "best_baseline_wape", "baselines", "with_old_prices"} <= found.keys()
    assert (tmp_path / "out" / "wape.svg").read_text().startswith("<svg")
    learned = ["price", "learn", "--panel", str(file), "--out", str(tmp_path / "e.npz"), "--json"]
    assert run.invoke(app, learned).exit_code == 0
    for words in (["elasticity"], ["suggest"]):
        named = [*words, "--category", "tea", "--evidence", str(tmp_path / "e.npz")]
        ended = run.invoke(app, ["price", *named, "--json"])
        assert ended.exit_code == 0, ended.output
        assert json.loads(ended.stdout)["category"] == "TEA"
        assert run.invoke(app, ["price", *named]).exit_code == 0
    ended = run.invoke(app, ["price", "backtest", "--horizons", "0", "--panel", str(file)])
    assert isinstance(ended.exception, EndcapError)


def replace_id(proposal: PriceProposal, proposal_id: str) -> PriceProposal:
    return PriceProposal(proposal_id, proposal.category, proposal.lines, proposal.steps)


def _proposal() -> PriceProposal:
    return PriceProposal("p", "COFFEE", (PriceLine("a", 1.0, 1.1),), (Step("proposed", "ann", 1),))


def _purchases(folder: Path, shuffled: bool) -> None:
    """Complete Journey's tables of a tiny shop; `shuffled`: households exchanged at random."""
    rng = np.random.default_rng(5)
    rows = []
    for number in range(4000):
        item, week = int(rng.integers(1, 7)), int(rng.integers(2, 47))
        price = 2.0 + item * (0.8 if rng.random() < 0.3 else 1.0)
        rows.append(
            {
                "household_id": int(rng.integers(1, 50)),
                "store_id": int(rng.integers(1, 4)),
                "basket_id": number // 3,
                "product_id": item,
                "quantity": int(rng.integers(1, 4)),
                "sales_value": price,
                "retail_disc": 0.5,
                "coupon_disc": 0.0,
                "coupon_match_disc": 0.0,
                "week": week,
            }
        )
    sales = pl.DataFrame(rows)
    if shuffled:
        sales = sales.with_columns(pl.col("household_id").shuffle(seed=1))
    sales.write_parquet(folder / "transactions.parquet")
    items = range(1, 7)
    pl.DataFrame(
        {
            "product_id": list(items),
            "manufacturer_id": [1, 1, 1, 2, 2, 2],
            "department": ["GROCERY"] * 6,
            "brand": ["National"] * 6,
            "product_category": ["COFFEE"] * 6,
            "product_type": ["GROUND COFFEE"] * 6,
            "package_size": [f"{8 * n} OZ" for n in items],
        }
    ).write_parquet(folder / "products.parquet")
    pl.DataFrame(
        {
            "product_id": [1, 2],
            "store_id": [1, 2],
            "display_location": ["3", "0"],
            "mailer_location": ["0", "D"],
            "week": [5, 6],
        }
    ).write_parquet(folder / "promotions.parquet")
