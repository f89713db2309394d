"""Candidates to scores, beside the same model padded, the eager one, and the core's own limit."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from endcap.batches import Batch, known_events, make_batch
from endcap.bundle import Bundle
from endcap.candidates import INPUTS, Crowd
from endcap.candidates.gather import MAX_CANDIDATES
from endcap.deploy.bench.flops import Sizes, flops_of, sgemm_flops_per_s
from endcap.deploy.bench.session_lengths import cut_to, drawn_lengths
from endcap.errors import BundleError
from endcap.policy import Policy
from endcap.scoring import without_padding
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.rescorer import rescore
from endcap.serving.whole_graph import WholeGraph
from endcap.sessions import Session

T = TypeVar("T")
U = TypeVar("U")
Progress = Callable[[int, int], None]
Run = Callable[[], float]
"""All shoppers once; returns the seconds of what is measured."""
Torch = Callable[[Batch], object]
"""The eager model over one padded batch."""
BATCHES = (1, 8, 32, 64, 128)
_FEW = 256


class Measured(NamedTuple):
    """Seconds of each part for all shoppers, one a turn."""

    seconds: dict[str, list[float]]
    users: int

    def ratio(self, ours: str, theirs: str) -> float:
        """How many times as long `theirs` took: the median over turns, each turn by itself."""
        pairs = zip(self.seconds[ours], self.seconds[theirs], strict=True)
        return statistics.median(b / a for a, b in pairs)

    def users_per_s(self, part: str) -> float:
        """By the median turn."""
        return self.users / statistics.median(self.seconds[part])


def bench_rescore(
    bundle: Bundle,
    sessions: Sequence[Session],
    batch: int,
    repeats: int,
    torch: Torch | None,
    provider: str,
    progress: Progress,
) -> dict[str, Any]:
    """Users a second of one core from sessions and candidates to scores, and from sessions to
    lists.

    1. Cut real histories to the lengths of a real clickstream (`session_lengths`).
    2. In turns: our stages; the whole graph with every session padded to the model's length and
       every list of candidates to the most there are; the same padded to what the batch needs; the
       eager model in torch on that; the way from sessions to lists. On a GPU ours is the whole
       graph in fixed shapes, and beside it stands the whole graph on that GPU as it is.
    3. Count what the matrix products need, beside what this core does of them.

    What a part starts from is made anew before each batch, off the clock: it lies in the caches as
    it does when it is served.

    Raises:
        ProviderUnavailableError: another provider than `provider` would be measured.
    """
    lengths = drawn_lengths(len(sessions))
    short = [cut_to(s, int(n)) for s, n in zip(sessions, lengths, strict=True)]
    scorer = OnnxScorer(bundle, provider, 1, may_fall_back=False)
    found = _measure(bundle, scorer, short, batch, repeats, torch, progress)
    return found | {
        "histories_as_they_are": _as_they_are(bundle, scorer, sessions, batch),
        "by_batch": _by_batch(bundle, scorer, short[:_FEW]),
    }


def _measure(
    bundle: Bundle,
    scorer: OnnxScorer,
    sessions: Sequence[Session],
    batch: int,
    repeats: int,
    torch: Torch | None,
    progress: Progress,
) -> dict[str, Any]:
    groups = [sessions[at : at + batch] for at in range(0, len(sessions), batch)]
    crowds = [bundle.crowd(group) for group in groups]
    gather = bundle.gatherer.gather
    whole = WholeGraph(bundle.model, bundle.manifest.name, "cpu", 1)
    length = bundle.manifest.max_length
    policy = Policy()

    def needed(crowd: Crowd) -> Batch:
        return make_batch(crowd, gather(crowd), length)

    def full(crowd: Crowd) -> Batch:
        return _to_the_full(needed(crowd), length)

    parts: dict[str, Run] = {
        "ours": _timed(crowds, lambda c: (c, gather(c)), lambda asked: scorer.score(*asked)),
        "padded": _timed(crowds, full, whole.run),
        "padded_to_the_batch": _timed(crowds, needed, whole.run),
        "session_to_list": _timed(groups, _as_is, lambda g: rescore(g, bundle, scorer, policy)),
        "translate": _timed(groups, _as_is, bundle.crowd),
        "gather": _timed(crowds, _as_is, gather),
    }
    if scorer.path == "bound":
        as_it_is = WholeGraph(bundle.model, bundle.manifest.name, "cuda", 1)
        parts["unbound"] = _timed(
            crowds,
            lambda c: (c, gather(c)),
            lambda asked: without_padding(as_it_is.run(make_batch(*asked, length))),
        )
    if torch is not None:
        parts["torch"] = _timed(crowds, full, torch)
    measured = Measured(_in_turns(parts, repeats, progress), len(sessions))
    known = np.concatenate([known_events(crowd, length).counts for crowd in crowds])
    items = sum(scorer.score(crowd, gather(crowd)).ids.size for crowd in crowds)
    return {
        "users_per_s_per_core": round(measured.users_per_s("ours")),
        "ratio_to_padded": round(measured.ratio("ours", "padded"), 2),
        "ratio_to_torch": round(measured.ratio("ours", "torch"), 2) if torch else None,
        "ratio_to_padded_to_the_batch": round(measured.ratio("ours", "padded_to_the_batch"), 2),
        "ratio_to_unbound": round(measured.ratio("ours", "unbound"), 2)
        if "unbound" in parts
        else None,
        "lists_per_s_per_core": round(measured.users_per_s("session_to_list")),
        "us_a_user": {
            part: round(1e6 / measured.users_per_s(part), 1) for part in measured.seconds
        },
        "us_a_user_lowest_and_highest": {
            part: [round(1e6 * edge / len(sessions), 1) for edge in (min(times), max(times))]
            for part, times in measured.seconds.items()
        },
        "events_a_session": round(float(known.mean()), 2),
        "items_scored_a_user": round(items / len(sessions)),
        "users": len(sessions),
        "batch": batch,
        "repeats": repeats,
        "provider": scorer.provider,
        "path": scorer.path,
        "model": bundle.manifest.name,
    } | _beside_the_limit(bundle, scorer, measured, known, items)


def _beside_the_limit(
    bundle: Bundle,
    scorer: OnnxScorer,
    measured: Measured,
    known: npt.NDArray[np.integer],
    items: int,
) -> dict[str, float | None]:
    """What the matrix products need, beside what this core does; on a GPU that says nothing."""
    if scorer.path == "bound":
        return {"fraction_of_flop_limit": None}
    flops = flops_of(_sizes(bundle), known, items)
    limit = sgemm_flops_per_s()
    ours = statistics.median(measured.seconds["ours"])
    return {
        "fraction_of_flop_limit": round(flops / limit / ours, 3),
        "mflop_a_user": round(flops / measured.users / 1e6, 2),
        "sgemm_gflop_per_s": round(limit / 1e9, 1),
    }


def _as_they_are(
    bundle: Bundle, scorer: OnnxScorer, sessions: Sequence[Session], batch: int
) -> dict[str, float]:
    """The same for a grocer's shoppers, whose histories are as long as the model reads."""
    found = _measure(bundle, scorer, sessions, batch, 3, None, lambda _done, _of: None)
    keys = ("users_per_s_per_core", "ratio_to_padded", "fraction_of_flop_limit")
    more = ("lists_per_s_per_core", "events_a_session", "items_scored_a_user")
    return {key: found[key] for key in (*keys, *more)}


def _by_batch(
    bundle: Bundle, scorer: OnnxScorer, sessions: Sequence[Session]
) -> list[dict[str, float]]:
    """A few shoppers in batches of each size that they fill."""
    rows = []
    for size in (size for size in BATCHES if size <= len(sessions)):
        found = _measure(bundle, scorer, sessions, size, 3, None, lambda _done, _of: None)
        rows.append(
            {
                "batch": size,
                "users_per_s_per_core": found["users_per_s_per_core"],
                "padded_users_per_s_per_core": round(1e6 / found["us_a_user"]["padded"]),
            }
        )
    return rows


def _to_the_full(batch: Batch, length: int) -> Batch:
    """Sessions padded to the model's length, candidates to the most that are gathered."""
    before = length - batch.item_ids.shape[1]
    after = MAX_CANDIDATES - batch.candidate_ids.shape[1]
    items, types, gaps = (
        np.pad(each, ((0, 0), (before, 0)))
        for each in (batch.item_ids, batch.event_types, batch.time_gaps)
    )
    return Batch(
        items,
        types,
        gaps,
        np.pad(batch.candidate_ids, ((0, 0), (0, after))),
        np.pad(batch.features, ((0, 0), (0, after), (0, 0))),
        batch.context,
    )


def _sizes(bundle: Bundle) -> Sizes:
    facts = bundle.manifest.stages
    if facts is None:
        raise BundleError(
            f"Bundle {bundle.manifest.name} has no stages, so nothing can be measured beside its "
            "whole graph. `endcap train` makes a bundle with them."
        )
    return Sizes(facts.dim, facts.layers, facts.rows, len(INPUTS), facts.width)


def _as_is(asked: T) -> T:
    return asked


def _timed(batches: Sequence[T], prepare: Callable[[T], U], run: Callable[[U], object]) -> Run:
    def once() -> float:
        seconds = 0.0
        for each in batches:
            prepared = prepare(each)
            begun = time.perf_counter()
            run(prepared)
            seconds += time.perf_counter() - begun
        return seconds

    return once


def _in_turns(parts: dict[str, Run], repeats: int, progress: Progress) -> dict[str, list[float]]:
    for run in parts.values():
        run()  # warm
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    for turn in range(repeats):
        for name, run in parts.items():
            seconds[name].append(run())
        progress(turn + 1, repeats)
    return seconds
