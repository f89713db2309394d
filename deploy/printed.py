"""How commands print: one JSON object on stdout, or for people on stderr."""

import json
from typing import Annotated

import typer
from rich.console import Console

screen = Console(stderr=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]


def show(found: object, as_json: bool) -> None:
    """The one result of a command."""
    if as_json:
        print(json.dumps(found))
    else:
        screen.print_json(json.dumps(found))
