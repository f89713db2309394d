"""`endcap train` and `endcap evaluate`: any shop's events, or a set that the field knows."""

import importlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from endcap.deploy.data_options import Source, read_data, reads_data
from endcap.deploy.printed import Json, screen
from endcap.deploy.progress import Bars
from endcap.deploy.settings import BUNDLES
from endcap.deploy.words_options import Encoder, Language, WithWords, Wording, words_for
from endcap.errors import EndcapError

Seed = Annotated[int, typer.Option(help="The same seed gives the same model on a CPU.")]
Epochs = Annotated[int | None, typer.Option(help="At most; else by the size of the data.", min=1)]
Options = Annotated[
    Path | None, typer.Option(help="An options.json of `endcap tune`; the seed stays --seed.")
]
Device = Annotated[
    str, typer.Option(help="auto (a GPU where there is one), cpu or cuda.", metavar="NAME")
]
CheckpointEvery = Annotated[
    float, typer.Option(help="Seconds; what a killed run loses at most.", min=0)
]
_OUT = Path("runs/model")


@reads_data
def train(
    source: Source,
    out: Annotated[Path, typer.Option(help="The bundle's folder.")] = _OUT,
    options: Options = None,
    epochs: Epochs = None,
    neighbours: Annotated[
        int | None, typer.Option(help="Kept of each item; fewer make a smaller bundle.", min=1)
    ] = None,
    sessions: Annotated[
        int | None, typer.Option(help="Newest ones kept; fewer make a smaller bundle.", min=1)
    ] = None,
    device: Device = "auto",
    checkpoint_every: CheckpointEvery = 60.0,
    encoder: Encoder = None,
    language: Language = "en",
    words: WithWords = True,
    seed: Seed = 7,
    as_json: Json = False,
) -> None:
    """Train on a shop's events, export, and write the bundle.

    Where items have titles (--items), words find them, and those that no event names are placed.
    Interrupted, it goes on where it stopped when it is called again with the same --out.
    Under torchrun several processes share the Transformer's training.

    Examples:
      endcap train events.parquet --out runs/spring
      endcap train events.parquet --items catalogue.csv --out runs/spring
      torchrun --nproc-per-node 2 -m endcap.deploy.cli train events.parquet --out runs/spring
      endcap train clicks.csv.gz --column user_id=visitorid --column timestamp=ts
      endcap train completejourney
    """
    needed = from_export("commands")
    given = needed.load_options(options) if options else None
    where = needed.Where(device, checkpoint_every)
    ranks = needed.ranks_here(device)
    with Bars(screen if ranks.leads else _SILENT) as bars, working_folder(out, ranks.rank) as work:
        asked = read_data(source, work, bars)
        chosen = needed.options_for(
            asked.split.train,
            len(asked.data.items),
            needed.Wishes(seed, epochs, neighbours, sessions, given),
        )
        if not ranks.leads:
            needed.train_along(asked.data, asked.split, chosen, out, bars, where)
            return
        maker = words_for(asked.data, asked.form, Wording(encoder, language, words), bars)
        trained = needed.train(
            *(asked.data, asked.split, chosen, out, this_command(), bars),
            where=where,
            make_words=maker,
        )
    metrics = trained.bundle.manifest.metrics
    if as_json:
        print(json.dumps({"bundle": str(out), "metrics": metrics["endcap"]}))
    else:
        _show(metrics)
        screen.print(f"The bundle lies in {out}; serve it with: endcap rescore --bundle {out}")


@reads_data
def evaluate(
    source: Source,
    bundle: Annotated[Path | None, typer.Option(help="Evaluate this one; else train.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="For the trained bundle and opponents' answers: runs/model, or --bundle's own."
        ),
    ] = None,
    opponents: Annotated[
        str, typer.Option(help="all, none, or names with commas: vmis-knn,sasrec.")
    ] = "all",
    trials: Annotated[
        int, typer.Option(help="Of an opponent's options; a tenth where it trains.", min=1)
    ] = 40,
    report: Annotated[
        Path | None, typer.Option(help="A folder for the page and the JSON behind it.")
    ] = None,
    published: Annotated[
        str | None, typer.Option(help="diginetica or beauty: published figures beside ours.")
    ] = None,
    impressions: Annotated[
        Path | None, typer.Option(help="What was shown and clicked: what endcap would have got.")
    ] = None,
    options: Options = None,
    epochs: Epochs = None,
    device: Device = "auto",
    checkpoint_every: CheckpointEvery = 60.0,
    encoder: Encoder = None,
    language: Language = "en",
    words: WithWords = True,
    seed: Seed = 7,
    as_json: Json = False,
) -> None:
    """A table: endcap beside tuned opponents, on questions that nobody has seen.

    Opponents' answers are kept in opponents/ in --out, else in the bundle's own folder.
    Called again, it does not tune them anew.

    Examples:
      endcap evaluate events.parquet --report out
      endcap evaluate shared/data/amazon_beauty --format s3rec --published beauty --json
      endcap evaluate events.parquet --bundle runs/spring --opponents vmis-knn
    """
    needed = from_export("commands")
    given = needed.load_options(options) if options else None
    figures = needed.published_of(published) if published else ()
    names = needed.opponent_names(opponents)
    where = needed.Where(device, checkpoint_every)
    out = out or (_OUT if bundle is None else _own_folder(bundle))
    ranks = needed.ranks_here(device)
    if bundle is not None and ranks.size > 1:
        raise EndcapError("With --bundle nothing is trained: evaluate in one process.")
    with Bars(screen if ranks.leads else _SILENT) as bars, working_folder(out, ranks.rank) as work:
        asked = read_data(source, work, bars)
        learned = answers = None
        if bundle is None:
            chosen = needed.options_for(
                asked.split.train,
                len(asked.data.items),
                needed.Wishes(seed, epochs, options=given),
            )
            if not ranks.leads:
                needed.train_along(asked.data, asked.split, chosen, out, bars, where)
                return
            maker = words_for(asked.data, asked.form, Wording(encoder, language, words), bars)
            loaded, learned, answers = needed.train(
                *(asked.data, asked.split, chosen, out, this_command(), bars),
                where=where,
                make_words=maker,
            )
        else:
            loaded = needed.load_bundle(bundle)
        found = needed.evaluate(
            needed.Evaluation(
                asked.data,
                asked.split,
                loaded,
                learned,
                answers,
                names,
                trials,
                seed,
                out,
                this_command(),
                figures,
            ),
            impressions,
            bars,
        )
    if report is not None:
        screen.print(f"Report: {needed.write_report(report, found)}")
    if as_json:
        print(needed.as_json(found))
    else:
        _show({"endcap": found.metrics} | found.opponents)
        for warning in found.warnings:
            screen.print(f"[yellow]warning:[/yellow] {warning}")


def _own_folder(bundle: Path) -> Path:
    """The bundle's folder, to keep beside it what was asked of others on the same questions.

    Raises:
        EndcapError: it cannot be written to, or was installed with endcap.
    """
    is_installed = bundle.resolve().is_relative_to(BUNDLES.resolve())
    if is_installed or (bundle.is_dir() and not os.access(bundle, os.W_OK)):
        raise EndcapError(
            f"{bundle} is not to be written to: name a folder for opponents' answers by --out."
        )
    return bundle


@contextmanager
def working_folder(out: Path, rank: int) -> Iterator[Path]:
    """Where larger data lies while it is in use: processes that train along have each their own,
    which goes with them."""
    if rank == 0:
        yield out
        return
    own = out / f"process-{rank}"
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def from_export(module: str) -> Any:
    """A module of `endcap.export`, which needs torch.

    Raises:
        EndcapError: a package of the extra is missing.
    """
    try:
        return importlib.import_module(f"endcap.export.{module}")
    except ImportError as error:
        raise EndcapError(
            f"Training and evaluation need the export extra ({error.name} is missing): "
            "pip install '.[export,cpu]' in a clone."
        ) from error


def this_command() -> str:
    """As it was typed, for manifests and reports."""
    return shlex.join(["endcap", *sys.argv[1:]])


_SILENT = Console(quiet=True)
_SHOWN = ("hr_at_10", "hr_at_20", "ndcg_at_10", "mrr_at_20", "coverage")


def _show(rankers: dict[str, dict[str, float]]) -> None:
    from rich.table import Table

    rows = {name: row for name, row in rankers.items() if "hr_at_10" in row}
    shown = [key for key in _SHOWN if key in next(iter(rows.values()))]
    table = Table("ranker", *shown, title="On the test's questions")
    for name, row in rows.items():
        table.add_row(name, *(f"{row[key]:.4f}" for key in shown))
    screen.print(table)
