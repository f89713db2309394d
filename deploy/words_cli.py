"""`endcap words`: give a trained bundle its words."""

import json
from pathlib import Path
from typing import Annotated

import typer

from endcap.bundle import load_bundle
from endcap.deploy.printed import Json, screen
from endcap.deploy.progress import Bars
from endcap.deploy.settings import load_settings
from endcap.deploy.words_options import Encoder, Language
from endcap.errors import EndcapError


def words(
    bundle: Annotated[Path | None, typer.Option(help="The model bundle's folder.")] = None,
    encoder: Encoder = None,
    language: Language = "en",
    as_json: Json = False,
) -> None:
    """Let a bundle's items be found by words: writes words.npz and lists it in the manifest.

    Without --encoder the words are a student of MiniLM that numpy alone serves, for English. With
    it, encoder.onnx and tokenizer.json lie in the bundle too: any language that the encoder knows.

    Example: endcap words --bundle runs/mine --encoder e5-small --language pl
    """
    try:
        from endcap.export.text.make_words import words_maker
        from endcap.export.text.words import add_words
    except ImportError as error:
        raise EndcapError(
            f"Making words needs the export extra ({error.name} is missing): "
            "pip install '.[export]' in a clone."
        ) from error

    folder = load_settings(bundle=bundle).bundle
    items = load_bundle(folder).items
    with Bars(screen) as bars:
        made = words_maker(encoder, language)(items, folder, bars)
    manifest = add_words(folder, made)
    told = {name: entry.bytes for name, entry in manifest.files.items()}
    if as_json:
        print(json.dumps(told))
    else:
        screen.print(f"{folder} has its words: {told['words.npz']:,} bytes", highlight=False)
