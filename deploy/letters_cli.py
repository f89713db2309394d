"""`endcap dead-letters`: what could not be folded, and its way back."""

import asyncio
import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from endcap.deploy.printed import Json, screen, show
from endcap.deploy.settings import load_settings
from endcap.errors import EndcapError

if TYPE_CHECKING:
    from endcap.streams.dead_letters import Letter

app = typer.Typer(no_args_is_help=True, help="Events that could not be folded.")
Reason = Annotated[str | None, typer.Option(help="Only this reason, such as late.")]
Source = Annotated[str | None, typer.Option(help="Only from this topic (or file).")]
Since = Annotated[datetime | None, typer.Option(help="Only those written since.")]
Until = Annotated[datetime | None, typer.Option(help="Only those written before.")]


@app.command("list")
def list_letters(
    reason: Reason = None,
    source: Source = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1)] = 50,
    replayed: Annotated[bool, typer.Option("--all", help="Those that went back too.")] = False,
    as_json: Json = False,
) -> None:
    """What could not be folded, and why.

    Example: endcap dead-letters list --reason late --since 2026-11-24
    """
    from collections import Counter

    from rich.table import Table

    letters = [
        letter
        for letter in _read_letters(reason, source, since, until)
        if replayed or not letter.replayed
    ]
    by_reason = dict(Counter(letter.reason for letter in letters).most_common())
    newest = letters[-limit:]
    if as_json:
        rows = [
            {
                "letter": x.name,
                "at_ms": x.at_ms,
                "reason": x.reason,
                "message": x.message,
                "topic": x.source_topic,
                "partition": x.source_partition,
                "offset": x.source_offset,
                "replayed": x.replayed,
            }
            for x in newest
        ]
        print(json.dumps({"letters": len(letters), "by_reason": by_reason, "newest": rows}))
        return
    table = Table("letter", "reason", "from", "message", title=f"{len(letters)} dead letters")
    for x in newest:
        table.add_row(
            x.name, x.reason, f"{x.source_topic}/{x.source_partition}@{x.source_offset}", x.message
        )
    screen.print(table)
    screen.print(", ".join(f"{name}: {times}" for name, times in by_reason.items()))


@app.command("show")
def show_letter(
    letter: Annotated[str, typer.Argument(help="Its name in the list: PARTITION:OFFSET.")],
) -> None:
    """One letter, whole: reason, headers, and the value as it came.

    Example: endcap dead-letters show 0:17
    """
    for found in _read_letters(None, None, None, None):
        if found.name == letter:
            screen.print(f"[bold]{found.reason}[/bold]", highlight=False)
            screen.print(found.message, markup=False, highlight=False)
            for name, value in found.headers:
                screen.print(f"{name}: {value!r}", markup=False, highlight=False)
            screen.print(f"key: {found.key!r}", markup=False, highlight=False)
            print((found.value or b"").decode(errors="replace"))
            return
    raise EndcapError(f"There is no dead letter {letter}. `endcap dead-letters list` names them.")


@app.command("replay")
def replay_dead_letters(
    letters: Annotated[list[str] | None, typer.Argument(help="PARTITION:OFFSET ...")] = None,
    reason: Reason = None,
    source: Source = None,
    since: Since = None,
    until: Until = None,
    to: Annotated[str | None, typer.Option(help="Another topic than where it came from.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many, send none.")] = False,
    as_json: Json = False,
) -> None:
    """Send letters back to where they came from, each once: after the cause is mended.

    Example: endcap dead-letters replay --reason late --dry-run
    """
    from endcap.streams.dead_letters import replay_letters

    if not (letters or reason or source or since or until):
        raise EndcapError(
            "Say which: PARTITION:OFFSET, --reason, --source, --since or --until. Example: "
            "endcap dead-letters replay --reason future"
        )
    settings = load_settings()
    found = [
        letter
        for letter in _read_letters(reason, source, since, until, frozenset(letters or ()))
        if not letter.replayed
    ]
    if not dry_run:
        asyncio.run(replay_letters(settings.broker, settings.topics, found, to))
    show({"replayed": 0 if dry_run else len(found), "matched": len(found)}, as_json)


def _read_letters(
    reason: str | None,
    source: str | None,
    since: datetime | None,
    until: datetime | None,
    names: frozenset[str] = frozenset(),
) -> "list[Letter]":
    from endcap.streams.dead_letters import Wanted, read_letters

    settings = load_settings()
    wanted = Wanted(reason, source, since, until, names)
    every = asyncio.run(read_letters(settings.broker, settings.topics))
    return [letter for letter in every if wanted.takes(letter)]
