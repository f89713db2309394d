"""A bundle in int8 or float16, beside what that costs on the test's questions."""

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from endcap.batches import Batch
from endcap.bundle import FILES, STAGE_FILES, Bundle, load_bundle, write_bundle
from endcap.counted import counted
from endcap.errors import BundleError
from endcap.export.cards import DATA_SHEET, MODEL_CARD, add_cards
from endcap.export.data.interactions import Cases, DataSet, Split
from endcap.export.evaluate import ranker_of
from endcap.export.progress import Progress
from endcap.export.questions import Vocabulary, batches
from endcap.export.smaller.half_graph import in_half
from endcap.export.smaller.int8_graph import dynamic_int8, static_int8
from endcap.export.smaller.side_by_side import Contestant, Cost, Side, side_by_side

_CALIBRATED = 512
"""Questions of validation."""


Form = Literal["dynamic int8", "static int8", "float16"]
_PAPERS = (MODEL_CARD, DATA_SHEET)
LEAST_OVERLAP_OF_HALF = 0.99
"""Of the first 20. int8 saves more and is allowed more: it is held to what it hits alone."""


class Quantising(msgspec.Struct, frozen=True, kw_only=True):
    """`form`: with static ranges, from validation, or dynamic ones, measured in each call; or
    float16, for a GPU. `may_lose`: the share of HR@20 and NDCG@10 that may be lost; `is_forced`
    writes the bundle all the same. `questions`: of the test, drawn by chance; all where there are
    fewer."""

    form: Form = "dynamic int8"
    may_lose: float = 0.02
    is_forced: bool = False
    questions: int = 2000
    seed: int = 7


def quantise(
    source: Path,
    out: Path,
    data: DataSet,
    split: Split,
    options: Quantising,
    command: str,
    progress: Progress,
) -> Cost:
    """Quantise, ask both, write.

    1. Make the graph in int8 or float16; static ranges come from validation.
    2. Ask both bundles the same questions of the test.
    3. Refuse what loses too much, and float16 whose first 20 agree to less than .99; else write it,
       with what it was made from.

    Raises:
        BundleError: it loses more than it may, `out` is `source`, or the graph cannot be quantised.
    """
    if out.resolve() == source.resolve():
        raise BundleError(f"{out} is the bundle to quantise itself: name another --out.")
    bundle = load_bundle(source)
    graph = _smaller(bundle, data, split, options)
    progress.say(
        f"the graph in {options.form}: {len(bundle.model):,} bytes before, {len(graph):,} now"
    )
    smaller = bundle._replace(model=graph, stages=None)
    cases = some_of(split.test, options.questions, options.seed)
    cost = side_by_side(
        contestant(bundle, data, progress),
        contestant(smaller, data, progress),
        cases,
    )
    if not options.is_forced:
        _refuse_what_costs_too_much(bundle.manifest.name, cost, options)
    _write(smaller, bundle, source, out, cost, options, command)
    return cost


def _refuse_what_costs_too_much(name: str, cost: Cost, options: Quantising) -> None:
    asked = counted(cost.questions, "question")
    if cost.lost() > options.may_lose:
        raise BundleError(
            f"In {options.form} {name} loses {cost.lost():.1%} of HR@20 or NDCG@10 on {asked}, "
            f"more than {options.may_lose:.1%}; nothing was written. Allow more by --may-lose, try "
            "another form (--static, --half), or write it by --force."
        )
    if options.form == "float16" and cost.overlap_at_20 < LEAST_OVERLAP_OF_HALF:
        raise BundleError(
            f"In float16 the first 20 items of {name} agree to {cost.overlap_at_20:.1%} on "
            f"{asked}, less than {LEAST_OVERLAP_OF_HALF:.0%}; nothing was written. Serve it in "
            "float32, or write it by --force."
        )


def some_of(cases: Cases, questions: int, seed: int) -> Cases:
    """`questions` of them drawn by chance, in their order; all where there are no more."""
    drawn = np.random.default_rng(seed).permutation(cases.size)[:questions]
    return cases.take(np.sort(drawn))


def contestant(bundle: Bundle, data: DataSet, progress: Progress) -> Contestant:
    """The bundle as one side, by its whole graph, which counts as it is, whatever the manifest says
    of it. What is for people to read counts for nothing."""
    counted_apart = {"model.onnx", *_PAPERS} | (set() if bundle.stages else set(STAGE_FILES))
    files = bundle.manifest.files.items()
    beside = sum(entry.bytes for name, entry in files if name not in counted_apart)
    whole = ranker_of(bundle, data, progress)._replace(stages=None)
    return Contestant(whole, beside + len(bundle.model))


def _smaller(bundle: Bundle, data: DataSet, split: Split, options: Quantising) -> bytes:
    if options.form == "float16":
        return in_half(bundle.model)
    if options.form == "dynamic int8":
        return dynamic_int8(bundle.model)
    shown = some_of(split.validation, _CALIBRATED, options.seed)
    return static_int8(bundle.model, _batches(bundle, data, shown))


def _batches(bundle: Bundle, data: DataSet, cases: Cases) -> list[Batch]:
    vocabulary = Vocabulary(data.items, bundle.items)
    length = bundle.manifest.max_length
    return [each.batch() for each in batches(cases, vocabulary, bundle.generators, length)]


def _write(
    smaller: Bundle,
    bundle: Bundle,
    source: Path,
    out: Path,
    cost: Cost,
    options: Quantising,
    command: str,
) -> None:
    """The files, those beside them that the manifest names (words), and where all came from."""
    manifest = msgspec.structs.replace(
        bundle.manifest,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        metrics={"endcap": _figures(cost.after), "cost": _cost(cost)},
        made_from={
            "model.onnx": hashlib.sha256(bundle.model).hexdigest(),
            "command": bundle.manifest.command,
            "how": options.form,
        },
    )
    written = write_bundle(out, manifest, bundle.items, bundle.generators, smaller.model)
    beside = {
        name: e
        for name, e in bundle.manifest.files.items()
        if name not in (*FILES, *STAGE_FILES, *_PAPERS)
    }
    for name in beside:
        shutil.copyfile(source / name, out / name)
    add_cards(out, msgspec.structs.replace(written, files=written.files | beside))


def _cost(cost: Cost) -> dict[str, float]:
    before = {f"before_{name}": value for name, value in _figures(cost.before).items()}
    return before | {"questions": float(cost.questions), "overlap_at_20": cost.overlap_at_20}


def _figures(side: Side) -> dict[str, float]:
    return {name: float(value) for name, value in msgspec.structs.asdict(side).items()}
