"""Session to list, beside its floor: the graph alone."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from endcap.batches import make_batch
from endcap.bundle import Bundle
from endcap.policy import Policy
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.rescorer import rescore
from endcap.sessions import Session

Progress = Callable[[int, int], None]


class _Part(NamedTuple):
    name: str
    run: Callable[[], object]


def bench_rescore(
    bundle: Bundle,
    scorer: OnnxScorer,
    sessions: Sequence[Session],
    batch: int,
    repeats: int,
    progress: Progress,
) -> dict[str, Any]:
    """Users per second from session to list, beside its floor: the graph's calls alone.

    Returns `users_per_second` by part (medians), `ratio_to_floor` and the milliseconds a user of
    each stage.
    """
    groups = [sessions[at : at + batch] for at in range(0, len(sessions), batch)]
    policy = Policy()
    shoppers = [[bundle.shopper(s, s.updated_ms) for s in group] for group in groups]
    found = [bundle.gatherer.gather(row) for row in shoppers]
    length = bundle.manifest.max_length
    batches = [make_batch(s, c, length) for s, c in zip(shoppers, found, strict=True)]
    parts = (
        _Part("session_to_list", lambda: [rescore(g, bundle, scorer, policy) for g in groups]),
        _Part("floor_graph_alone", lambda: [scorer.score(b) for b in batches]),
        _Part(
            "gather",
            lambda: [bundle.gatherer.gather(row) for row in shoppers],
        ),
        _Part(
            "pad", lambda: [make_batch(s, c, length) for s, c in zip(shoppers, found, strict=True)]
        ),
    )
    seconds = _in_turns(parts, repeats, progress)
    users = len(sessions)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "users": users,
        "batch": batch,
        "repeats": repeats,
        "provider": scorer.provider,
        "model": bundle.manifest.name,
        "users_per_second": {name: round(users / s) for name, s in median.items()},
        "ms_a_user": {name: round(s / users * 1000, 4) for name, s in median.items()},
        "ratio_to_floor": round(median["floor_graph_alone"] / median["session_to_list"], 3),
        "spread": {name: [round(min(t), 4), round(max(t), 4)] for name, t in seconds.items()},
    }


def _in_turns(parts: Sequence[_Part], repeats: int, progress: Progress) -> dict[str, list[float]]:
    for part in parts:
        part.run()  # warm
    seconds: dict[str, list[float]] = {part.name: [] for part in parts}
    for turn in range(repeats):
        for part in parts:
            started = time.perf_counter()
            part.run()
            seconds[part.name].append(time.perf_counter() - started)
        progress(turn + 1, repeats)
    return seconds
