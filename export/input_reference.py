"""What a bundle's test asked, in bins: the reference that drift is measured against."""

from itertools import islice
from pathlib import Path

import msgspec

from endcap.bundle import Bundle, write_manifest
from endcap.export.data.interactions import Cases, DataSet
from endcap.export.questions import Vocabulary, questions
from endcap.input_figures import InputCounts, InputFigures

_ROWS = 1024


def input_figures(bundle: Bundle, cases: Cases, data: DataSet) -> InputFigures:
    """Each case's session before its question, in bins; targets are not looked at.

    A data set leaves items out of its histories that it does not list: how many were met is its own
    count of such events, and is left out where it has none.
    """
    counts = InputCounts()
    waiting = questions(cases, Vocabulary(data.items, bundle.items))
    while some := list(islice(waiting, _ROWS)):
        crowd = bundle.crowd([each.session for each in some], [each.now_ms for each in some])
        counts.add(crowd, bundle.fifths)
    figures = counts.figures()
    shares = {name: of for name, of in figures.shares.items() if name != "item_met"}
    if (others := data.facts.get("events_of_other_items")) is not None:
        unmet = int(others) / max(1, int(data.facts["events"]))
        shares["item_met"] = {"met": round(1 - unmet, 6), "unmet": round(unmet, 6)}
    return InputFigures(figures.questions, shares)


def with_inputs(folder: Path, bundle: Bundle, figures: InputFigures) -> Bundle:
    """The bundle that lies in `folder`, with these figures in its manifest, there too. No other
    file of it changes."""
    manifest = msgspec.structs.replace(bundle.manifest, inputs=figures)
    write_manifest(folder, manifest)
    return bundle._replace(manifest=manifest)
