"""`endcap experiment`: which there are, who is in which variant, and what they have found."""

import asyncio
import json
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from endcap.deploy.experiments_file import find_experiment, read_experiments
from endcap.deploy.printed import Json, screen
from endcap.deploy.printed import show as show_result
from endcap.deploy.settings import Settings, load_settings
from endcap.errors import EndcapError
from endcap.experiments import (
    CURRENT,
    Experiment,
    Experiments,
    Found,
    Report,
    Variant,
    encode_report,
    place_of,
    report_of,
    spell,
    time_ms,
    variant_of,
)
from endcap.experiments.intervals import Rate, Uplift
from endcap.experiments.report import VariantReport

app = typer.Typer(no_args_is_help=True, help="Experiments: variants, assignment, reports.")


@app.command()
def show(as_json: Json = False) -> None:
    """The experiments of the file, which is checked; each mistake is told with its line.

    Example: endcap experiment show --json
    """
    settings = load_settings()
    shop, now_ms = _read(settings), _now_ms()
    found = {
        "experiments_file": str(settings.experiments_path.resolve()),
        "explore": _plain(shop.explore),
        "experiments": [_plain(each) | {"state": each.state(now_ms)} for each in shop.experiments],
    }
    if as_json:
        print(json.dumps(found))
    else:
        _show_experiments(shop, now_ms)


@app.command()
def assign(
    user_id: Annotated[str, typer.Argument(help="The user id.")], as_json: Json = False
) -> None:
    """Which variant of each experiment a shopper is in; always the same one.

    Example: endcap experiment assign 1364
    """
    settings = load_settings()
    shop, now_ms, user_id = _read(settings), _now_ms(), settings.kept_id(user_id)
    found = [
        {
            "experiment": each.name,
            "state": each.state(now_ms),
            "variant": variant_of(each, user_id),
            "place": round(place_of(user_id, each.name), 6),
        }
        for each in shop.experiments
    ]
    running = [
        (each.name, variant)
        for each in shop.running(now_ms)
        if (variant := variant_of(each, user_id)) is not None
    ]
    show_result({"user_id": user_id, "variant": spell(running), "experiments": found}, as_json)


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="The experiment.")],
    folder: Annotated[
        Path | None,
        typer.Option("--report", help="A folder for report.json and uplift.svg."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Click-through and conversion of each variant, uplifts with intervals, and what is wrong.

    Reads impressions and purchases from Kafka, from the experiment's start until now.

    Example: endcap experiment report summer --report out/
    """
    settings = load_settings()
    experiment = find_experiment(_read(settings), name, settings.experiments_path)
    now_ms = _now_ms()
    found = report_of(experiment, _counted(settings, experiment, now_ms), now_ms)
    if folder is not None:
        _write(folder, found)
    if as_json:
        print(encode_report(found).decode())
    else:
        _show_report(found)


@app.command()
def impressions(
    out: Annotated[Path, typer.Argument(help="The file of JSON lines to write.")],
    since: Annotated[
        str, typer.Option(help="The first time, as 2026-11-24 or 2026-11-24T06:00.")
    ] = "1970-01-01",
    as_json: Json = False,
) -> None:
    """What was shown, clicked, and how likely it was, as rows for `endcap evaluate --impressions`.

    Example: endcap experiment impressions shown.jsonl --since 2026-11-20
    """
    try:
        since_ms = time_ms(since)
    except ValueError as error:
        raise EndcapError(f"--since {since} is no time; write it as 2026-11-24.") from error
    try:
        rows = asyncio.run(_write_rows(load_settings(), out, since_ms))
    except OSError as error:
        raise EndcapError(f"{out} cannot be written: {error.strerror}.") from error
    show_result({"file": str(out), "rows": rows}, as_json)


@app.command()
def selftest(
    runs: Annotated[int, typer.Option(help="A/A runs.", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="Of the simulated shop.", min=0)] = 1,
    as_json: Json = False,
) -> None:
    """Let the report judge a simulated shop whose truth is known: no uplift, then one of 5 %.

    Exit code 1 where it finds too much (more than 8 % of the A/A runs), or not the uplift.

    Example: endcap experiment selftest --json
    """
    from endcap.experiments.simulation import Sizes
    from endcap.experiments.simulation import selftest as simulate

    found = simulate(seed, Sizes(runs=runs))
    show_result(found, as_json)
    is_sound = found["detected_true_uplift"] and found["aa_false_positive_rate"] <= 0.08
    raise typer.Exit(0 if is_sound else 1)


def _read(settings: Settings) -> Experiments:
    return read_experiments(settings.experiments_path)


def _now_ms() -> int:
    return int(time.time() * 1000)


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)


def _counted(settings: Settings, experiment: Experiment, now_ms: int) -> Found:
    from endcap.deploy.progress import Bars
    from endcap.streams.experiment_records import count_experiment

    with Bars(screen) as bars:
        return asyncio.run(
            count_experiment(settings.broker, settings.topics, experiment, now_ms, bars.advance)
        )


async def _write_rows(settings: Settings, out: Path, since_ms: int) -> int:
    from endcap.deploy.progress import Bars
    from endcap.streams.impression_rows import impression_rows

    number = 0
    with Bars(screen) as bars, out.open("wb") as file:
        async for row in impression_rows(settings.broker, settings.topics, since_ms, bars.advance):
            file.write(msgspec.json.encode(row) + b"\n")
            number += 1
    return number


def _write(folder: Path, found: Report) -> None:
    from endcap.deploy.experiment_plot import uplift_picture

    try:
        folder.mkdir(parents=True, exist_ok=True)
        raw = msgspec.json.format(encode_report(found), indent=2) + b"\n"
        (folder / "report.json").write_bytes(raw)
        (folder / "uplift.svg").write_text(uplift_picture(found), encoding="utf-8")
    except OSError as error:
        raise EndcapError(
            f"{folder} cannot be written: {error.strerror}. Name another folder by --report."
        ) from error


def _show_experiments(shop: Experiments, now_ms: int) -> None:
    from rich.table import Table

    table = Table("experiment", "state", "from", "to", "variant", "share", "what is other")
    for each in shop.experiments:
        others = {variant.name: _what_is_other(variant) for variant in each.variants}
        for place, (name, share) in enumerate(each.shares.items()):
            facts = (each.name, each.state(now_ms), each.start, each.end)
            table.add_row(
                *(facts if place == 0 else ("",) * len(facts)),
                _named(name, each.compared_with),
                f"{share:.1%}",
                others.get(name, "what trends"),
            )
    screen.print(table)


def _named(variant: str, control: str) -> str:
    return variant if variant != control or variant == "control" else f"{variant} (control)"


def _what_is_other(variant: Variant) -> str:
    told = [f"{name} {value:g}" for name, value in variant.policy.items()]
    if variant.model != CURRENT:
        told.insert(0, f"model {variant.model}")
    if variant.explore is not None:
        places = ", ".join(map(str, variant.explore.places))
        told.append(f"{variant.explore.epsilon:.0%} chance at places {places}")
    return "; ".join(told)


def _show_report(found: Report) -> None:
    from rich.table import Table

    table = Table(
        *("variant", "shoppers", "measure", "rate", f"uplift over {found.control}"),
        title=f"{found.experiment}, {found.state}: {found.start} to {found.end}",
    )
    for one in found.variants:
        shoppers = f"{one.users:,} of {one.expected_users:,.0f}"
        through = f"{one.clicks:,} clicks of {one.exposures:,}"
        bought = f"{one.buyers:,} buyers"
        table.add_row(one.name, shoppers, *_measured(one, "click_through", through))
        table.add_row("", "", *_measured(one, "conversion", bought))
    screen.print(table)
    ratio = found.sample_ratio
    verdict = "fits" if ratio.is_sound else "MISMATCH"
    screen.print(
        f"Sample ratio: {verdict} (chi-squared {ratio.chi_squared:.2f}, p {ratio.p_value:.3g})"
    )
    for why, number in found.left_out.items():
        screen.print(f"Left out: {number:,} {why.replace('_', ' ')}")
    for warning in found.warnings:
        colour = "bold red" if warning.startswith("SAMPLE") else "yellow"
        screen.print(f"[{colour}]{warning}[/{colour}]", highlight=False, soft_wrap=True)


def _measured(one: VariantReport, measure: str, counts: str) -> tuple[str, str, str]:
    name = measure.replace("_", "-")
    return f"{name}, {counts}", _rate(one.rates[measure]), _uplift(one.uplifts, measure)


def _rate(rate: Rate | None) -> str:
    return "none" if rate is None else f"{rate.value:.2%} ({rate.low:.2%} to {rate.high:.2%})"


def _uplift(uplifts: dict[str, Uplift | None], measure: str) -> str:
    if measure not in uplifts:
        return ""
    found = uplifts[measure]
    if found is None:
        return "not known"
    mark = "" if found.is_certain else ", not certain"
    return f"{found.value:+.1%} ({found.low:+.1%} to {found.high:+.1%}{mark})"
