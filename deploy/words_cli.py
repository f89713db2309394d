"""`endcap words`: give a trained bundle its words."""

import json
from pathlib import Path
from typing import Annotated

import typer

from endcap.bundle import load_bundle
from endcap.deploy.printed import Json, screen
from endcap.deploy.settings import load_settings
from endcap.errors import EndcapError


def words(
    bundle: Annotated[Path | None, typer.Option(help="The model bundle's folder.")] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(help="A sentence encoder as `transformers` saves it; else a static student."),
    ] = None,
    language: Annotated[str, typer.Option(help="Of the shop's customers, with --encoder.")] = "en",
    as_json: Json = False,
) -> None:
    """Let a bundle's items be found by words: writes words.npz and lists it in the manifest.

    Without --encoder the words are a student of MiniLM that numpy alone serves, for English. With
    it, encoder.onnx and tokenizer.json lie in the bundle too: any language that the encoder knows.

    Example: endcap words --bundle runs/mine --encoder e5-small --language pl
    """
    try:
        from endcap.export.text.encoder_graph import export_encoder
        from endcap.export.text.teacher import Teacher, minilm
        from endcap.export.text.words import add_words, encoder_words, student_words
    except ImportError as error:
        raise EndcapError(
            f"Making words needs the export extra ({error.name} is missing): "
            "pip install 'endcap[export]'."
        ) from error
    from endcap.serving.onnx_text import OnnxTextEncoder

    folder = load_settings(bundle=bundle).bundle
    items = load_bundle(folder).items
    if encoder is None:
        screen.print("A student of MiniLM learns the words of the catalogue; a minute or two")
        made = student_words(items, minilm())
    else:
        teacher = Teacher(encoder)
        difference = export_encoder(teacher, folder)
        screen.print(f"ONNX against torch: largest difference {difference:.1e}")
        exported = OnnxTextEncoder(folder)
        made = encoder_words(items, exported, exported.fingerprint, teacher.name, language)
    manifest = add_words(folder, made)
    told = {name: entry.bytes for name, entry in manifest.files.items()}
    if as_json:
        print(json.dumps(told))
    else:
        screen.print(f"{folder} has its words: {told['words.npz']:,} bytes", highlight=False)
