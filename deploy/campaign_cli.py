"""`endcap campaign`: whom to address, what it brought, and how sure that is."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from endcap.deploy.printed import Json, screen
from endcap.deploy.printed import show as show_result
from endcap.deploy.settings import load_settings
from endcap.errors import EndcapError, SettingsError

app = typer.Typer(no_args_is_help=True, help="Campaigns: uplift, assignment, reports.")
File = Annotated[Path, typer.Argument(help="Campaigns in YAML; docs/campaigns.md has the form.")]


@app.command()
def evaluate(
    with_states: Annotated[
        bool,
        typer.Option("--states", help="Once more with the Transformer's states as features."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Judge targeting by uplift on Complete Journey's later campaigns, against response and chance.

    Takes about three minutes on one core.

    Example: endcap campaign evaluate --json
    """
    from endcap.deploy.campaign_data import opened_journey
    from endcap.marketing.evaluation import balance, controls, figures, judge, split_of

    journey = opened_journey()
    split = split_of(journey)
    judged = judge(journey, split, says=_say)
    found = {"outcome": "promoted", "unit": "dollars per shopper and campaign"} | figures(judged)
    found |= {"balance": balance(judged), "controls": controls(journey, split)}
    _say("The same for all that was spent.")
    found["all_spend"] = figures(judge(journey, split, "total"))
    if with_states:
        from endcap.deploy.campaign_states import state_features

        _say("The same with the Transformer's states as further features.")
        every = [*split.learned, *split.judged]
        more = state_features(journey, every, load_settings().bundle)
        found["with_states"] = figures(judge(journey, split, more=more))
    found["learned_campaigns"] = [each.campaign_id for each in split.learned]
    found["judged_campaigns"] = [each.campaign_id for each in split.judged]
    show_result(found, as_json)


@app.command()
def selftest(
    seed: Annotated[int, typer.Option(help="Of the made-up shops.", min=0)] = 1,
    as_json: Json = False,
) -> None:
    """Let the estimates judge made-up shops whose truth is known. Exit code 1 where they miss it.

    Example: endcap campaign selftest --json
    """
    from endcap.deploy.campaign_data import needs_marketing

    needs_marketing()
    from endcap.marketing.holdout_simulation import holdout_selftest
    from endcap.marketing.simulation import selftest as simulate

    found = simulate(seed) | {"holdouts": holdout_selftest(seed)}
    show_result(found, as_json)
    is_sound = found["finds_truth"] and found["beats_response"] and found["holdouts"]["is_sound"]
    raise typer.Exit(0 if is_sound else 1)


@app.command()
def score(
    file: File,
    out: Annotated[Path, typer.Option(help="The CSV of candidates to write.")],
    goods: Annotated[
        Path | None,
        typer.Option(help="A CSV to write: the goods that the uplift is of, for `result --items`."),
    ] = None,
    as_json: Json = False,
) -> None:
    """The expected uplift of each of Complete Journey's households for the campaigns of a file.

    Example: endcap campaign score campaigns.yaml --out candidates.csv
    """
    from endcap.deploy.campaign_data import opened_journey
    from endcap.deploy.campaign_files import read_campaigns, write_rows

    plans = read_campaigns(file)
    journey = opened_journey()
    from endcap.export.completejourney import data_folder
    from endcap.marketing.assignment import Candidate
    from endcap.marketing.scoring import Goods, promoted_goods, score_households

    found = score_households(journey, plans)
    write_rows(out, found, Candidate.__struct_fields__)
    told: dict[str, Any] = {"file": str(out), "candidates": len(found)}
    if goods is not None:
        rows = promoted_goods(data_folder(), plans)
        write_rows(goods, rows, Goods._fields)
        told |= {"goods_file": str(goods), "goods": len(rows)}
    show_result(told, as_json)


@app.command()
def plan(
    file: File,
    candidates: Annotated[
        Path, typer.Option(help="CSV: user_id,campaign,uplift,consent,contacts,segment.")
    ],
    out: Annotated[Path | None, typer.Option(help="A CSV of the contacts to write.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Into the topic endcap.campaigns.")] = False,
    as_json: Json = False,
) -> None:
    """Whom to address: the most profit within budgets, limits, consent and caps. Sends nothing
    without --send.

    Example: endcap campaign plan campaigns.yaml --candidates candidates.csv --out contacts.csv
    """
    from endcap.deploy.campaign_data import needs_marketing
    from endcap.deploy.campaign_files import publish, read_campaigns, read_candidates, write_rows

    needs_marketing()
    from endcap.marketing.assignment import Contact, assign

    found = assign(read_campaigns(file), read_candidates(candidates))
    told: dict[str, Any] = {
        "contacts": sum(not each.is_held_out for each in found.contacts),
        "held_out": sum(each.is_held_out for each in found.contacts),
        "expected_uplift": round(
            sum(each.expected_uplift for each in found.contacts if not each.is_held_out), 2
        ),
        "spent": found.spent,
        "left_out": found.left_out,
    }
    if out is not None:
        write_rows(out, found.contacts, Contact.__struct_fields__)
        told["file"] = str(out)
    if send:
        told["sent"] = publish(load_settings(), found.contacts, int(time.time() * 1000))
        told["sent_before"] = len(found.contacts) - told["sent"]
    show_result(told, as_json)


@app.command()
def preview(
    file: File,
    name: Annotated[str, typer.Argument(help="The campaign.")],
    user_id: Annotated[str, typer.Argument(help="Whose recommended items stand in it.")],
    out: Annotated[Path | None, typer.Option(help="An HTML file to write.")] = None,
    as_json: Json = False,
) -> None:
    """The message as one shopper would get it, with the items that lie in Redis for them.

    Example: endcap campaign preview campaigns.yaml spring 1364 --out preview.html
    """
    from endcap.deploy.campaign_data import needs_marketing
    from endcap.deploy.campaign_files import read_campaigns
    from endcap.deploy.message_items import message_items

    needs_marketing()
    from endcap.marketing.message import write_message

    plans = {each.name: each for each in read_campaigns(file).campaigns}
    if name not in plans:
        raise SettingsError(f"{file} has no campaign {name}. It names {', '.join(plans)}.")
    message = write_message(plans[name], message_items(load_settings(), user_id))
    if out is not None:
        _write(out, message.html)
    if as_json:
        print(json.dumps(message._asdict()))
    elif out is None:
        print(message.html)


@app.command()
def report(
    folder: Annotated[Path, typer.Option("--report", help="For report.json and pictures.")],
    as_json: Json = False,
) -> None:
    """Expected and achieved uplift by segment, Qini curves, reach by demographic group.

    Example: endcap campaign report --report out/
    """
    from endcap.deploy.campaign_data import opened_journey
    from endcap.deploy.campaign_plot import qini_picture, reach_picture, segments_picture
    from endcap.export.completejourney import data_folder
    from endcap.marketing.evaluation import balance, controls, curves, figures, judge, split_of
    from endcap.marketing.report import by_segment, reach_by_group

    journey = opened_journey()
    split = split_of(journey)
    judged = judge(journey, split, says=_say)
    found = figures(judged) | {
        "balance": balance(judged),
        "controls": controls(journey, split),
        "segments": by_segment(judged),
        "reach": reach_by_group(judged, journey, data_folder()),
        "curves": curves(judged),
    }
    note = "Estimated, not randomised: confounding is left (docs/campaigns.md)"
    pictures = {
        "qini.svg": qini_picture(found["curves"], note),
        "segments.svg": segments_picture(found["segments"], note),
        "reach.svg": reach_picture(found["reach"], "95 % over households; groups of 30 and more"),
    }
    _make(folder)
    _write(folder / "report.json", json.dumps(found, indent=1) + "\n")
    for file, picture in pictures.items():
        _write(folder / file, picture)
    show_result({each: value for each, value in found.items() if each != "curves"}, as_json)


@app.command()
def result(
    name: Annotated[str, typer.Argument(help="The campaign, as it was sent.")],
    days: Annotated[int, typer.Option(help="From the plan on, of each shopper.", min=1)] = 28,
    items: Annotated[
        Path | None,
        typer.Option(
            help="CSV: item_id, if known campaign. Only these goods count; all otherwise."
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--report", help="For result.json and result.svg.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What a campaign that was sent has brought: the addressed against those left alone by lot.

    Example: endcap campaign result winter --items goods.csv --report out/
    """
    from endcap.deploy.campaign_data import needs_marketing

    needs_marketing()
    from endcap.deploy.campaign_plot import result_picture
    from endcap.deploy.campaign_result import read_goods, read_result

    goods = None if items is None else read_goods(items, name)
    found = read_result(load_settings(), name, days, goods)
    if folder is not None:
        _make(folder)
        _write(folder / "result.json", json.dumps(found, indent=1) + "\n")
        _write(folder / "result.svg", result_picture(found))
    show_result(found, as_json)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EndcapError(f"{folder} cannot be made: {error.strerror}.") from error


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EndcapError(f"{file} cannot be written: {error.strerror}.") from error


def _say(sentence: str) -> None:
    screen.print(sentence, highlight=False)
