"""`endcap bench all` and `bench guard`: the figures of the page, and what made them worse."""

from pathlib import Path
from typing import Annotated

import typer

from endcap.deploy.printed import Json, screen, show

_RESULTS = Path("docs/bench")
_TRIED = Path("build/bench")
_PAGE = Path("docs/performance.md")

Only = Annotated[str, typer.Option(help="Some of rescore,latency,catalogue,http. Else all.")]


def bench_all_command(
    out: Annotated[
        Path | None, typer.Option(help="For results and pictures. [default: docs/bench]")
    ] = None,
    page: Annotated[Path, typer.Option(help="Markdown whose tables are written anew.")] = _PAGE,
    only: Only = "",
    again: Annotated[bool, typer.Option(help="Measure also what this code has found.")] = False,
    quick: Annotated[
        bool, typer.Option(help="See that all run: seconds each, into build/bench, no page.")
    ] = False,
    as_json: Json = False,
) -> None:
    """rescore, latency, catalogue and http, each in a process of its own; tables and pictures.

    What this code has found by the same command on this machine is kept, so that an interrupted
    run goes on. The machine should do nothing else.

    Example: endcap bench all --only rescore,http
    """
    from endcap.deploy.bench.suite import BENCHMARKS, QUICK, chosen, measure_all

    tasks = chosen(only, QUICK if quick else BENCHMARKS)
    folder = out or (_TRIED if quick else _RESULTS)
    ended = measure_all(tasks, folder, None if quick else page, again, _say)
    show(ended._asdict(), as_json)
    if ended.failed:
        _say(f"Failed: {', '.join(ended.failed)}. What the others found is written.")
        raise typer.Exit(1)


def bench_guard_command(
    folder: Annotated[Path, typer.Argument(help="Results of `endcap bench all`.")] = _RESULTS,
    only: Only = "",
    since: Annotated[str, typer.Option(help="The git revision compared with.")] = "HEAD",
    as_json: Json = False,
) -> None:
    """Compare ratios with those committed: 20 % worse (recall: 2 %) is one error, exit code 1.

    Never seconds: a busy or another machine slows both sides of a ratio.

    Example: endcap bench guard docs/bench --since v0.1.0
    """
    from endcap.deploy.bench.guard import guard
    from endcap.deploy.bench.suite import BENCHMARKS, chosen

    names = [task.name for task in chosen(only, BENCHMARKS)]
    found = guard(folder, names, since)
    for sentence in (*found.worse, *found.not_compared):
        _say(sentence)
    show(found._asdict(), as_json)
    if found.worse:
        raise typer.Exit(1)


def _say(sentence: str) -> None:
    screen.print(sentence, markup=False, highlight=False, soft_wrap=True)
