"""What a bundle's test asked, in bins: the reference that drift is measured against."""

from itertools import islice
from pathlib import Path

import msgspec

from endcap.bundle import Bundle, write_manifest
from endcap.catalogue import CatalogueItem
from endcap.export.data.interactions import Cases
from endcap.export.questions import Vocabulary, questions
from endcap.input_figures import InputCounts, InputFigures

_ROWS = 1024


def input_figures(bundle: Bundle, cases: Cases, items: tuple[CatalogueItem, ...]) -> InputFigures:
    """Each case's session before its question, in bins; targets are not looked at. `items`: those
    that the cases number."""
    counts = InputCounts()
    waiting = questions(cases, Vocabulary(items, bundle.items))
    while some := list(islice(waiting, _ROWS)):
        crowd = bundle.crowd([each.session for each in some], [each.now_ms for each in some])
        counts.add(crowd, bundle.fifths)
    return counts.figures()


def with_inputs(folder: Path, bundle: Bundle, figures: InputFigures) -> Bundle:
    """The bundle that lies in `folder`, with these figures in its manifest, there too. No other
    file of it changes."""
    manifest = msgspec.structs.replace(bundle.manifest, inputs=figures)
    write_manifest(folder, manifest)
    return bundle._replace(manifest=manifest)
