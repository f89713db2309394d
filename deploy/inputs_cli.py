"""`endcap inputs`: what a bundle is asked in a shop's data, into its manifest."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from endcap.bundle import load_bundle
from endcap.deploy.data_options import Source, read_data, reads_data
from endcap.deploy.models_cli import from_export
from endcap.deploy.printed import Json, screen
from endcap.deploy.progress import Bars
from endcap.input_figures import stability_index


@reads_data
def inputs(
    source: Source,
    bundle: Annotated[Path, typer.Option(help="The bundle's folder; its manifest is rewritten.")],
    as_json: Json = False,
) -> None:
    """Count what the test of this data asks, in bins, into a bundle's manifest: the reference of
    drift. `endcap train` does so by itself.

    Says how far they are from the figures that the bundle had, as an index of population stability.

    Example: endcap inputs completejourney --bundle bundles/spring
    """
    needed = from_export("input_reference")
    held = load_bundle(bundle)
    with Bars(screen) as bars, TemporaryDirectory() as work:
        asked = read_data(source, Path(work), bars)
        figures = needed.input_figures(held, asked.split.test, asked.data)
    needed.with_inputs(bundle, held, figures)
    before = held.manifest.inputs.shares if held.manifest.inputs else {}
    moved = {
        name: round(stability_index(shares, before[name]), 4) if name in before else None
        for name, shares in figures.shares.items()
    }
    if as_json:
        print(json.dumps({"questions": figures.questions, "moved": moved}))
        return
    screen.print(f"{figures.questions:,} questions counted into the manifest of {bundle}.")
    for name, index in moved.items():
        said = "no figures before" if index is None else f"stability index {index}"
        screen.print(f"  {name}: {said}", highlight=False)
