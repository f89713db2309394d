"""`endcap intents`: train what tells a question's intent."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from endcap.deploy.printed import Json, screen
from endcap.deploy.progress import Bars
from endcap.deploy.settings import load_settings
from endcap.errors import EndcapError

app = typer.Typer(no_args_is_help=True, help="The assistant's model of intents.")


@app.callback()
def intents() -> None:
    """The assistant's model of intents."""


@app.command()
def train(
    out: Annotated[
        Path | None, typer.Option(help="The file; the installed one if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Learn the intents from export/intents/questions.yaml; a minute or two of a core.

    Prints the accuracy of each input of the head by five folds over the questions' forms: MiniLM,
    letters alone, the multilingual encoder, and that with letters, which is what is served.

    Example: endcap intents train --out runs/intents.npz
    """
    try:
        from endcap.export.intents.questions import load_questions
        from endcap.export.intents.train import train_intents
        from endcap.export.text.teacher import minilm
    except ImportError as error:
        raise EndcapError(
            f"Training needs the export extra ({error.name} is missing): "
            "pip install '.[export]' in a clone."
        ) from error
    from endcap.text.intent_model import encode_intents
    from endcap.text.multilingual import MultilingualEncoder

    settings = load_settings()
    with Bars(screen) as bars:
        trained = train_intents(
            load_questions(),
            MultilingualEncoder(),
            "multilingual",
            {"minilm": minilm()},
            shlex.join(["endcap", *sys.argv[1:]]),
            bars,
        )
    target = out or settings.assistant_intents
    target.write_bytes(encode_intents(trained.file))
    told = {"file": str(target), "bytes": target.stat().st_size, "folds": trained.folds}
    if as_json:
        print(json.dumps(told))
    else:
        screen.print_json(json.dumps(told))
