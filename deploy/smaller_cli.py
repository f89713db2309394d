"""`endcap quantise`, `endcap distil` and `endcap tune`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from endcap.deploy.data_options import Source, read_data, reads_data
from endcap.deploy.models_cli import Epochs, Options, Seed, from_export, this_command
from endcap.deploy.printed import Json, screen, show
from endcap.deploy.progress import Bars
from endcap.errors import SettingsError

if TYPE_CHECKING:
    from endcap.export.smaller.side_by_side import Cost

_COMMANDS = "smaller.commands"
Questions = Annotated[
    int, typer.Option(help="Of the test, drawn by chance, for the comparison.", min=1)
]


@reads_data
def quantise(
    source: Source,
    bundle: Annotated[Path, typer.Option(help="The bundle to make smaller.")],
    out: Annotated[Path, typer.Option(help="The folder of the smaller bundle.")],
    static: Annotated[
        bool, typer.Option("--static", help="Ranges from validation, not anew in each call.")
    ] = False,
    half: Annotated[
        bool, typer.Option("--half", help="float16, for a GPU; refused below .99 of the first 20.")
    ] = False,
    may_lose: Annotated[
        float, typer.Option(help="Share of HR@20 and NDCG@10; past it nothing is written.", min=0)
    ] = 0.02,
    force: Annotated[bool, typer.Option("--force", help="Write it whatever it loses.")] = False,
    questions: Questions = 2000,
    seed: Seed = 7,
    as_json: Json = False,
) -> None:
    """A bundle in int8, or in float16 for a GPU, and what that costs on the test's questions.

    Examples:
      endcap quantise events.parquet --bundle runs/spring --out runs/spring-int8
      endcap quantise events.parquet --bundle runs/spring --out runs/spring-half --half
    """
    if static and half:
        raise SettingsError("--static is of int8, --half is float16: choose one.")
    needed = from_export(_COMMANDS)
    with Bars(screen) as bars:
        asked = read_data(source, out, bars)
        options = needed.Quantising(
            form="float16" if half else "static int8" if static else "dynamic int8",
            may_lose=may_lose,
            is_forced=force,
            questions=questions,
            seed=seed,
        )
        cost = needed.quantise(bundle, out, asked.data, asked.split, options, this_command(), bars)
    _show_cost(cost, out, as_json)


@reads_data
def distil(
    source: Source,
    bundle: Annotated[Path, typer.Option(help="The teacher, in the folder it was trained to.")],
    out: Annotated[Path, typer.Option(help="The student's folder.")],
    dim: Annotated[int, typer.Option(help="The student's width.", min=2)] = 32,
    layers: Annotated[int, typer.Option(help="The student's layers.", min=1)] = 1,
    share: Annotated[
        float, typer.Option(help="Of the loss: to expect what the teacher does.", min=0, max=1)
    ] = 0.5,
    temperature: Annotated[float, typer.Option(help="Softens what both expect.")] = 2.0,
    options: Options = None,
    epochs: Epochs = None,
    questions: Questions = 2000,
    seed: Seed = 7,
    as_json: Json = False,
) -> None:
    """A smaller student of a trained bundle, and both on the same questions.

    Example: endcap distil events.parquet --bundle runs/spring --out runs/small --dim 32
    """
    needed = from_export(_COMMANDS)
    given = needed.load_options(options) if options else None
    with Bars(screen) as bars:
        asked = read_data(source, out, bars)
        chosen = needed.options_for(
            asked.split.train, len(asked.data.items), needed.Wishes(seed, epochs, options=given)
        )
        wished = needed.Distilling(
            dim=dim,
            layers=layers,
            share=share,
            temperature=temperature,
            questions=questions,
            seed=seed,
        )
        cost = needed.distil(
            bundle, out, asked.data, asked.split, chosen, wished, this_command(), bars
        )
    _show_cost(cost, out, as_json)


@reads_data
def tune(
    source: Source,
    out: Annotated[Path, typer.Option(help="The search's folder; the same one goes on.")],
    trials: Annotated[
        int, typer.Option(help="In all, those of earlier runs included.", min=1)
    ] = 20,
    epochs: Epochs = None,
    seed: Seed = 7,
    as_json: Json = False,
) -> None:
    """Search the Transformer's options on validation alone; interrupted, it goes on.

    Examples:
      endcap tune events.parquet --trials 20 --out runs/tuned
      endcap train events.parquet --options runs/tuned/options.json --out runs/spring
    """
    needed = from_export(_COMMANDS)
    with Bars(screen) as bars:
        asked = read_data(source, out, bars)
        begun = needed.options_for(
            asked.split.train, len(asked.data.items), needed.Wishes(seed, epochs)
        )
        found = needed.tune(asked.data, asked.split, begun, trials, out, bars)
    best = max((t for t in found.trials if t.state == "complete"), key=lambda trial: trial.score)
    default = found.trials[0].choice
    told = {
        "options": str(out / "options.json"),
        "score": found.score,
        "default_score": next(
            t.score for t in found.trials if t.choice == default and t.state != "fail"
        ),
        "trials": len(found.trials),
        "best_trial": best.number,
        "choice": best.choice,
    }
    show(told, as_json)


def _show_cost(cost: "Cost", out: Path, as_json: bool) -> None:
    from rich.table import Table

    if as_json:
        show({"bundle": str(out)} | from_export(_COMMANDS).as_builtins(cost), as_json)
        return
    table = Table("", "before", "after", title=f"On {cost.questions:,} of the test's questions")
    for name in cost.before.__struct_fields__:
        before, after = getattr(cost.before, name), getattr(cost.after, name)
        form = "{:.4f}" if "_at_" in name else "{:,.0f}"
        table.add_row(name, form.format(before), form.format(after))
    screen.print(table)
    screen.print(f"The first 20 agree to {cost.overlap_at_20:.1%}. The bundle lies in {out}.")
