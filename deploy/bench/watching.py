"""What it costs to watch: how good lists are, what the model is asked, how old lists are shown."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from endcap.bundle import Bundle
from endcap.deploy.bench.list_writes import write_some
from endcap.deploy.local_stack.ports import LOOPBACK, free_ports
from endcap.deploy.local_stack.valkey import start_valkey
from endcap.errors import EndcapError
from endcap.events import EventType
from endcap.lists import made_at_ms
from endcap.policy import Policy
from endcap.serving.calibration import warm_up_sessions
from endcap.serving.input_watch import InputWatch
from endcap.serving.list_making import make_lists
from endcap.serving.metrics import READ_SECONDS, SHOWN_AGE_SECONDS
from endcap.serving.online_quality import OnlineQuality
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.redis_store import RedisStore
from endcap.serving.ruled_lists import RuledLists
from endcap.sessions import Interaction, Session

BATCHES = (1, 8, 64, 128)
_LEAST_TURNS = 5
_COUNTED_EVERY_S = 0.011
"""The watch of inputs passes over what comes within 10 ms."""
_CALLS = 2_000
_TURNS = 9
_VIEW = EventType.VIEW_ITEM.code


def bench_watching(
    bundle: Bundle,
    shoppers: int,
    progress: Callable[[int, int], None],
    sizes: Sequence[int] = BATCHES,
) -> dict[str, Any]:
    """CPU microseconds of this process, which a busy machine disturbs less than the clock.

    `batches`, by size, medians over the turns in which `shoppers` lists are made: `make_lists` (the
    baseline: the batch's work without any watching), `quality` (online quality, each batch; every
    shopper has touched an item since their last list, so each list is judged), `inputs` (drift and
    sources, of one batch in 10 ms at most). `*_share`: of `make_lists`.

    `hot_get`: a ready list from a real Valkey as HTTP reads it, both observations included, and
    each observation with what it needs (the clock, when the list was made); medians of nine turns.
    """
    scorer = OnnxScorer(bundle, threads=1)
    batches = {}
    for done, size in enumerate(sizes):
        progress(done, len(sizes) + 1)
        batches[str(size)] = _of_batch(bundle, scorer, size, max(_LEAST_TURNS, shoppers // size))
    progress(len(sizes), len(sizes) + 1)
    found = {"batches": batches, "hot_get": _of_get()}
    progress(1, 1)
    return found


def _of_batch(bundle: Bundle, scorer: OnnxScorer, size: int, turns: int) -> dict[str, float]:
    sessions: Sequence[Session] = warm_up_sessions(bundle, size)
    quality, inputs, policy = OnlineQuality(), InputWatch(), Policy()
    items = [item.item_id for item in bundle.items]
    make_lists(sessions, bundle, scorer, policy)  # the first call of a graph plans its memory
    spent: dict[str, list[float]] = {"make_lists": [], "quality": [], "inputs": []}
    for turn in range(turns):
        sessions = [
            _looked(each, items[(turn * 13 + n) % len(items)]) for n, each in enumerate(sessions)
        ]
        time.sleep(_COUNTED_EVERY_S)
        began = time.process_time()
        made = make_lists(sessions, bundle, scorer, policy)
        listed = time.process_time()
        quality.look(sessions, made.lists, bundle)
        looked = time.process_time()
        inputs.count(bundle, made.crowd, made.found)
        counted = time.process_time()
        spent["make_lists"].append(listed - began)
        spent["quality"].append(looked - listed)
        spent["inputs"].append(counted - looked)
    found = {name: statistics.median(each) * 1e6 for name, each in spent.items()}
    return {
        **{f"{name}_us": round(value, 1) for name, value in found.items()},
        "quality_share": round(found["quality"] / found["make_lists"], 4),
        "inputs_share": round(found["inputs"] / found["make_lists"], 4),
        "turns": turns,
    }


def _looked(session: Session, item: str) -> Session:
    """The shopper a minute later, with another item looked at."""
    now = session.updated_ms + 60_000
    return msgspec.structs.replace(
        session,
        interactions=(*session.interactions, Interaction(item, _VIEW, now))[-50:],
        events_folded=session.events_folded + 1,
        updated_ms=now,
    )


def _of_get() -> dict[str, float]:
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="endcap-watching-") as folder:
        valkey = start_valkey(port, Path(folder))
        try:
            return asyncio.run(_read(f"redis://{LOOPBACK}:{port}/0"))
        finally:
            valkey.stop()


async def _read(url: str) -> dict[str, float]:
    store = RedisStore(url)
    try:
        (user,) = await write_some(store, 1)
        lists = RuledLists(store)
        raw = await store.raw_list(user)
        if raw is None:
            raise EndcapError(f"Valkey has lost the list of {user}, which it had accepted.")
        spent: dict[str, list[float]] = {}
        for _ in range(_TURNS):
            began = time.process_time()
            for _ in range(_CALLS):
                await lists.shown_list(user)
            spent.setdefault("get", []).append(time.process_time() - began)
            for name, part in _observations(raw).items():
                spent.setdefault(name, []).append(_cpu_s(part))
    finally:
        await store.close()
    found = {name: statistics.median(each) / _CALLS * 1e6 for name, each in spent.items()}
    both = found["read_seconds"] + found["shown_age_seconds"]
    return {
        **{f"{name}_us": round(value, 2) for name, value in found.items()},
        "both_share": round(both / found["get"], 4),
    }


def _observations(raw: bytes) -> dict[str, Callable[[], object]]:
    """As `SharedReads.ask_all` and `RuledLists.shown_list` have them."""

    def read_seconds() -> None:
        started = time.perf_counter()
        READ_SECONDS.observe(time.perf_counter() - started)

    def shown_age_seconds() -> None:
        SHOWN_AGE_SECONDS.observe(max(0.0, time.time() - made_at_ms(raw) / 1000))

    def nothing() -> None:
        return

    return {
        "read_seconds": read_seconds,
        "shown_age_seconds": shown_age_seconds,
        "empty_call": nothing,
    }


def _cpu_s(part: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(_CALLS):
        part()
    return time.process_time() - began
