"""`endcap price`: how demand answers to prices, how well it is forecast, and what to suggest."""

import asyncio
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from endcap.deploy import price_decisions_cli
from endcap.deploy.printed import Json, screen
from endcap.deploy.printed import show as show_result
from endcap.deploy.settings import load_settings
from endcap.errors import EndcapError, SettingsError

if TYPE_CHECKING:
    from endcap.pricing.live import SeenDemand
    from endcap.pricing.suggest import Evidence

app = typer.Typer(no_args_is_help=True, help="Prices: elasticities, forecasts, suggestions.")
price_decisions_cli.register(app)

PanelFile = Annotated[
    Path | None,
    typer.Option("--panel", help="Weekly sales, Parquet or CSV (default: Complete Journey)."),
]
EvidenceFile = Annotated[
    Path | None, typer.Option("--evidence", help="What `endcap price learn` wrote: no waiting.")
]
Category = Annotated[str, typer.Option("--category", help="As in the panel, such as COFFEE.")]
_DAY_MS = 86_400_000


@app.command()
def panel(
    out: Annotated[Path, typer.Argument(help="The Parquet file to write.")],
    every: Annotated[
        int, typer.Option(help="Only one of so many items, in the order of ids: for trials.", min=1)
    ] = 1,
    as_json: Json = False,
) -> None:
    """Complete Journey's weeks as a panel file: what every other command reads by itself.

    Example: endcap price panel runs/weeks.parquet
    """
    from endcap.deploy.price_data import complete_journey_table

    table = complete_journey_table()
    kept = table["item_id"].unique().sort().gather_every(every)
    table = table.filter(table["item_id"].is_in(kept.implode()))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        table.write_parquet(out)
    except OSError as error:
        raise EndcapError(f"{out} cannot be written: {error.strerror}.") from error
    found = {"file": str(out), "rows": table.height, "items": table["item_id"].n_unique()}
    show_result(found, as_json)


@app.command()
def categories(panel_file: PanelFile = None, as_json: Json = False) -> None:
    """The categories of the panel, with items and units a week.

    Example: endcap price categories --json
    """
    from endcap.deploy.price_data import load_panel
    from endcap.deploy.price_told import told_categories

    rows = told_categories(load_panel(panel_file))
    show_result({"categories": rows}, as_json)


@app.command()
def learn(
    out: Annotated[Path, typer.Option(help="The file to write.")],
    panel_file: PanelFile = None,
    as_json: Json = False,
) -> None:
    """Elasticities, substitutes and the forecast of the week to come, for all categories at once.

    Example: endcap price learn --out runs/prices.npz
    """
    from endcap.deploy.price_told import told_effect
    from endcap.pricing.evidence_file import write_evidence

    evidence = _evidence(panel_file)
    write_evidence(out, evidence)
    found = evidence.effects
    show_result(
        {
            "file": str(out),
            "items": len(found.items),
            "price_told_by": found.everywhere.told_by,
            "price_elasticity": told_effect(found.everywhere.mean["price"]),
            "spread": round(evidence.spread, 4),
        },
        as_json,
    )


@app.command()
def elasticity(
    category: Category,
    panel_file: PanelFile = None,
    evidence_file: EvidenceFile = None,
    as_json: Json = False,
) -> None:
    """How demand answers to price and promotion, item by item, with 95 % intervals and warnings.

    Example: endcap price elasticity --category COFFEE
    """
    from endcap.deploy.price_told import told_elasticities

    result = told_elasticities(_evidence(panel_file, evidence_file), category)
    if as_json:
        print(json.dumps(result))
    else:
        _show_elasticities(result)


@app.command()
def backtest(
    weeks: Annotated[int, typer.Option(help="Held out, the newest of the panel.", min=1)] = 6,
    horizons: Annotated[str, typer.Option(help="Weeks ahead, with commas.")] = "1,4",
    vectors: Annotated[
        bool, typer.Option("--vectors", help="Also with the bundle's item vectors as features.")
    ] = False,
    coupons: Annotated[
        bool, typer.Option("--coupons", help="Also with coupons as features.")
    ] = False,
    until: Annotated[
        int | None,
        typer.Option(help="The newest week that is looked at: to choose by earlier ones."),
    ] = None,
    without_new_prices: Annotated[
        bool,
        typer.Option("--old-prices", help="Also with the last known price in place of the plan's."),
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="A folder for report.json and wape.svg.")
    ] = None,
    panel_file: PanelFile = None,
    as_json: Json = False,
) -> None:
    """Replay the newest weeks: each is forecast from what was known before, beside baselines.

    Example: endcap price backtest --report out/ --json
    """
    from endcap.deploy.price_data import coupons_of, item_vectors, load_panel
    from endcap.deploy.progress import Bars

    ahead = _horizons(horizons)
    found = load_panel(panel_file, until)
    from endcap.pricing.backtest import backtest as replay
    from endcap.pricing.backtest import summary, with_old_prices

    with Bars(screen) as bars:
        made = replay(found, weeks, ahead, advance=bars.advance)
        figures = summary(found, made)
        if vectors:
            known = item_vectors(load_settings().bundle, found)
            also = summary(found, replay(found, weeks, ahead[:1], known.table, bars.advance))
            figures["with_item_vectors"] = {
                name: also[name] for name in ("wape", "pinball", "lower_by")
            } | {"items_with_vector": known.items}
        if coupons:
            weekly = coupons_of(panel_file, found)
            also = summary(found, replay(found, weeks, ahead, None, bars.advance, weekly))
            figures["with_coupons"] = {
                name: also[name] for name in ("wape", "pinball", "lower_by")
            } | {"horizons": {h: one["wape"] for h, one in also["horizons"].items()}}
        if without_new_prices:
            old = with_old_prices(found, weeks)
            also = summary(old, replay(old, weeks, ahead[:1], advance=bars.advance))
            figures["with_old_prices"] = {
                name: also[name] for name in ("wape", "best_baseline_wape", "lower_by")
            }
    if report is not None:
        _write_report(report, figures)
    if as_json:
        print(json.dumps(figures))
    else:
        _show_backtest(figures)


@app.command()
def suggest(
    category: Category,
    rules: Annotated[
        Path | None, typer.Option(help="What prices may do, in YAML (docs/prices.md).")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Demand and today's prices from Kafka.")
    ] = False,
    demand: Annotated[
        Path | None, typer.Option(help="Demand from a CSV file of item_id, purchases, days.")
    ] = None,
    days: Annotated[float, typer.Option(help="Of demand that --live looks at.", min=0.01)] = 7.0,
    apply: Annotated[
        bool, typer.Option("--apply", help="Publish as a proposal; it waits for approval.")
    ] = False,
    who: Annotated[str, typer.Option(help="Who proposes: it stays in the log.")] = "",
    panel_file: PanelFile = None,
    evidence_file: EvidenceFile = None,
    as_json: Json = False,
) -> None:
    """Prices of a category with expected units, revenue and margin a week, against today's.

    Example: endcap price suggest --category COFFEE --rules winter.yaml --live --apply --who ann
    """
    if live and demand is not None:
        raise SettingsError("Demand comes from --live or from --demand: give one of the two.")
    from endcap.deploy.price_data import need_pricing

    need_pricing()
    from endcap.pricing.live import read_demand
    from endcap.pricing.rules import read_rules
    from endcap.pricing.suggest import suggest as suggested
    from endcap.pricing.suggest import with_prices

    allowed = read_rules(rules)
    seen = None if demand is None else read_demand(demand)
    evidence = _evidence(panel_file, evidence_file)
    if live:
        seen, prices = _live(days)
        evidence = with_prices(evidence, prices)
    found = suggested(evidence, category, allowed, seen)
    if apply:
        found["proposal"] = price_decisions_cli.propose(load_settings(), found, who)
    if as_json:
        print(json.dumps(found))
    else:
        _show_suggestion(found)


def _evidence(panel_file: Path | None, evidence_file: Path | None = None) -> "Evidence":
    from endcap.deploy.price_data import load_evidence
    from endcap.deploy.progress import Bars

    if panel_file is not None and evidence_file is not None:
        raise SettingsError("--evidence holds a panel already: give it or --panel, not both.")
    with Bars(screen) as bars:
        return load_evidence(panel_file, evidence_file, bars.advance)


def _live(days: float) -> "tuple[SeenDemand, dict[str, float]]":
    from endcap.deploy.progress import Bars
    from endcap.pricing.live import SeenDemand
    from endcap.streams.price_topic import catalogue_prices, purchases_since

    settings = load_settings()
    since_ms = int(time.time() * 1000 - days * _DAY_MS)

    async def asked() -> "tuple[dict[str, int], dict[str, float]]":
        with Bars(screen) as bars:
            counts = await purchases_since(settings.broker, settings.topics, since_ms, bars.advance)
        return counts, await catalogue_prices(settings.broker, settings.topics)

    counts, prices = asyncio.run(asked())
    seen = {item_id: float(number) for item_id, number in counts.items()}
    return SeenDemand(seen, days, settings.topics.item_deltas.name), prices


def _horizons(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise SettingsError(f"--horizons {text} must be whole weeks with commas: 1,4.") from error
    if not found or min(found) < 1 or len(set(found)) < len(found):
        raise SettingsError(f"--horizons {text} must be different weeks of 1 or more: 1,4.")
    return found


def _write_report(folder: Path, figures: dict[str, Any]) -> None:
    from endcap.deploy.price_plot import wape_picture

    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(figures, indent=2) + "\n")
        (folder / "wape.svg").write_text(wape_picture(figures), encoding="utf-8")
    except OSError as error:
        raise EndcapError(
            f"{folder} cannot be written: {error.strerror}. Name another folder by --report."
        ) from error


def _span(found: dict[str, float]) -> str:
    return f"{found['value']:+.2f} ({found['low']:+.2f} to {found['high']:+.2f})"


def _show_elasticities(found: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table("item", "title", "price", "display", "mailer", "own word")
    mean = found["effects"]
    table.add_row("", f"mean of {found['told_by']} items", *(_span(mean[n]) for n in _SHOWN), "")
    for row in found["items"]:
        told = (_span(row["effects"][name]) for name in _SHOWN)
        table.add_row(row["item_id"], row["title"], *told, f"{row['own_share']:.0%}")
    screen.print(table)
    _show_remarks((row["item_id"], row["warning"]) for row in found["items"])


_SHOWN = ("price", "display", "mailer")


def _show_backtest(found: dict[str, Any]) -> None:
    from rich.table import Table

    for horizon, part in found["horizons"].items():
        table = Table("forecast", "WAPE", "pinball", "bias", title=f"{horizon} weeks ahead")
        table.add_row("endcap", *(f"{part[n]:.4f}" for n in ("wape", "pinball", "bias")))
        for name, one in part["baselines"].items():
            table.add_row(name, *(f"{one[n]:.4f}" for n in ("wape", "pinball", "bias")))
        screen.print(table)
        low, high = part["lower_by_interval"]
        screen.print(
            f"{part['lower_by']:.1%} lower than {part['best_baseline']} ({low:.1%} to {high:.1%})"
        )


def _show_suggestion(found: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(
        *("item", "title", "today", "price", "units a week", "revenue", "margin"),
        title=f"{found['category']}, for {found['objective']}",
    )
    for row in found["items"]:
        after = row["suggested"]
        table.add_row(
            *(row["item_id"], row["title"], f"{row['price_today']:.2f}"),
            f"{row['price']:.2f} ({row['change']:+.1%})" if row["change"] else "",
            *(_moved(row["today"][name], after[name]) for name in ("units", "revenue", "margin")),
        )
    screen.print(table)
    _show_remarks(
        (row["item_id"], "; ".join(filter(None, (row["note"], row["warning"]))))
        for row in found["items"]
    )
    for name in ("revenue", "margin"):
        gain, before = found["gain"][name], found["today"][name]["expected"]
        screen.print(
            f"{name}: {before:,.2f} a week today, {gain['expected']:+,.2f} "
            f"({gain['low']:+,.2f} to {gain['high']:+,.2f}) expected",
            highlight=False,
        )
    screen.print(f"[yellow]{found['costs']}[/yellow]", highlight=False, soft_wrap=True)
    if "proposal" in found:
        proposal_id = found["proposal"]["proposal_id"]
        screen.print(f"Proposed as {proposal_id}: endcap price approve {proposal_id} --who NAME")


def _show_remarks(remarks: Iterable[tuple[str, str]]) -> None:
    """Below the table, items with the same one together: a column of sentences has no room."""
    items: dict[str, list[str]] = {}
    for item_id, remark in remarks:
        if remark:
            items.setdefault(remark, []).append(item_id)
    for remark, of in items.items():
        screen.print(f"{', '.join(of)}: {remark}", style="yellow", highlight=False)


def _moved(before: dict[str, float], after: dict[str, float]) -> str:
    return (
        f"{before['expected']:,.1f} > {after['expected']:,.1f} "
        f"({after['low']:,.1f} to {after['high']:,.1f})"
    )
