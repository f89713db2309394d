"""A bundle in int8, beside what that costs on the test's questions."""

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from endcap.batches import Batch
from endcap.bundle import FILES, STAGE_FILES, Bundle, load_bundle, write_bundle, write_manifest
from endcap.counted import counted
from endcap.errors import BundleError
from endcap.export.data.interactions import Cases, DataSet, Split
from endcap.export.evaluate import ranker_of
from endcap.export.progress import Progress
from endcap.export.questions import Vocabulary, batches
from endcap.export.smaller.int8_graph import dynamic_int8, static_int8
from endcap.export.smaller.side_by_side import Contestant, Cost, Side, side_by_side

_CALIBRATED = 512
"""Questions of validation."""


class Quantising(msgspec.Struct, frozen=True, kw_only=True):
    """`is_static`: ranges from validation, not measured in each call. `may_lose`: the share of
    HR@20 and NDCG@10 that may be lost; `is_forced` writes the bundle all the same. `questions`: of
    the test, drawn by chance; all where there are fewer."""

    is_static: bool = False
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

    1. Make the graph in int8; static ranges come from validation.
    2. Ask both bundles the same questions of the test.
    3. Refuse what loses too much; else write it, with what it was made from.

    Raises:
        BundleError: it loses more than it may, `out` is `source`, or the graph cannot be quantised.
    """
    if out.resolve() == source.resolve():
        raise BundleError(f"{out} is the bundle to quantise itself: name another --out.")
    bundle = load_bundle(source)
    graph = _in_int8(bundle, data, split, options)
    progress.say(f"the graph in int8: {len(bundle.model):,} bytes before, {len(graph):,} now")
    smaller = bundle._replace(model=graph, stages=None)
    cases = some_of(split.test, options.questions, options.seed)
    cost = side_by_side(
        contestant(bundle, data, progress),
        contestant(smaller, data, progress),
        cases,
    )
    if cost.lost() > options.may_lose and not options.is_forced:
        raise BundleError(
            f"In int8 {bundle.manifest.name} loses {cost.lost():.1%} of HR@20 or NDCG@10 on "
            f"{counted(cost.questions, 'question')}, more than {options.may_lose:.1%}; nothing was "
            "written. Allow more by --may-lose, try the other way (--static), or write it by "
            "--force."
        )
    _write(smaller, bundle, source, out, cost, options, command)
    return cost


def some_of(cases: Cases, questions: int, seed: int) -> Cases:
    """`questions` of them drawn by chance, in their order; all where there are no more."""
    drawn = np.random.default_rng(seed).permutation(cases.size)[:questions]
    return cases.take(np.sort(drawn))


def contestant(bundle: Bundle, data: DataSet, progress: Progress) -> Contestant:
    """The bundle as one side, by its whole graph, which counts as it is, whatever the manifest says
    of it."""
    counted_apart = {"model.onnx"} | (set() if bundle.stages else set(STAGE_FILES))
    files = bundle.manifest.files.items()
    beside = sum(entry.bytes for name, entry in files if name not in counted_apart)
    whole = ranker_of(bundle, data, progress)._replace(stages=None)
    return Contestant(whole, beside + len(bundle.model))


def _in_int8(bundle: Bundle, data: DataSet, split: Split, options: Quantising) -> bytes:
    if not options.is_static:
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
            "how": "static int8" if options.is_static else "dynamic int8",
        },
    )
    written = write_bundle(out, manifest, bundle.items, bundle.generators, smaller.model)
    beside = {
        name: e for name, e in bundle.manifest.files.items() if name not in (*FILES, *STAGE_FILES)
    }
    for name in beside:
        shutil.copyfile(source / name, out / name)
    if beside:
        write_manifest(out, msgspec.structs.replace(written, files=written.files | beside))


def _cost(cost: Cost) -> dict[str, float]:
    before = {f"before_{name}": value for name, value in _figures(cost.before).items()}
    return before | {"questions": float(cost.questions), "overlap_at_20": cost.overlap_at_20}


def _figures(side: Side) -> dict[str, float]:
    return {name: float(value) for name, value in msgspec.structs.asdict(side).items()}
