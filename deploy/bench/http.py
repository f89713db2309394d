"""Ready lists over HTTP beside an endpoint that returns a constant, lists scored on request, and
the same lists straight from Redis. The server has one core, whoever asks it another."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import psutil

from endcap.bundle import load_bundle
from endcap.deploy.bench.list_writes import bench_writes
from endcap.deploy.bench.roles.http_load import Load, Taken, get_request, post_request
from endcap.deploy.bench.roles.redis_gets import Gets
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports, is_open
from endcap.deploy.local_stack.supervised import Child
from endcap.deploy.progress import Bars
from endcap.deploy.replay import load_shop, purchase_sessions
from endcap.deploy.settings import Settings
from endcap.errors import EndcapError
from endcap.events import EventType
from endcap.policy import Policy
from endcap.serving.front import HEALTH_ROUTE, LIST_ROUTE
from endcap.serving.onnx_session import OnnxScorer
from endcap.serving.redis_store import RedisStore
from endcap.serving.rescorer import rescore
from endcap.sessions import Session
from endcap.streams.clients import create_topics
from endcap.topics import topics_with_prefix

SHOPPERS = 1000
PIPELINE = 10
TURN_S = 2.0
_PREFIX = "bench-http"
_BATCH = 32
_NAMES = {kind.code: kind.value for kind in EventType}


class Plan(NamedTuple):
    """`rate`: ready lists a second, and `rescore_rate`: lists on request, begun at even distances
    for `seconds` each; `connections` are kept alive; `turns` of `TURN_S` for each highest rate."""

    rate: float = 1000
    rescore_rate: float = 100
    seconds: float = 10
    connections: int = 8
    turns: int = 5


def bench_http(stack: LocalStack, settings: Settings, plan: Plan, bars: Bars) -> dict[str, Any]:
    """The fixed keys, and beside them how busy server and client were.

    Raises:
        EndcapError: a request failed.
    """
    bars.say("Real shoppers' lists into Redis")
    sessions = purchase_sessions(load_shop().history)[:SHOPPERS]
    asyncio.run(_fill(stack, settings, sessions))
    cores = _share_cores(stack)
    server = _Server(stack, cores)
    try:
        return _measured(server, stack, sessions, plan, bars)
    finally:
        server.child.stop()


def _measured(
    server: "_Server", stack: LocalStack, sessions: Sequence[Session], plan: Plan, bars: Bars
) -> dict[str, Any]:
    lists = [get_request(LIST_ROUTE.format(user=session.user_id)) for session in sessions]
    on_request = [post_request("/v1/rescore", _body(session)) for session in sessions]
    empty = [get_request(HEALTH_ROUTE)]
    for warm in (lists, on_request, empty):
        server.take(warm, plan.connections, 1.0)
    bars.say(f"{plan.rate:.0f} ready lists a second")
    ready = server.take(lists, plan.connections, plan.seconds, plan.rate)
    bars.say(f"{plan.rescore_rate:.0f} lists a second on request")
    scored = server.take(on_request, plan.connections, plan.seconds, plan.rescore_rate)
    highest: dict[str, list[_Turn]] = {"empty": [], "ready": [], "rescore": []}
    asked = {"empty": empty, "ready": lists, "rescore": on_request}
    for turn in range(plan.turns):
        for name, turns in highest.items():
            turns.append(server.take(asked[name], plan.connections, TURN_S))
        bars.advance("Turns", turn + 1, plan.turns)
    bars.say("Straight from Redis")
    keys = [session.user_id for session in sessions]
    gets = [_run("redis_gets", Gets(stack.redis_url, keys, PIPELINE, TURN_S)) for _ in range(3)]
    return {
        "ready_p50_ms": _ms(ready, 50),
        "ready_p99_ms": _ms(ready, 99),
        "rescore_p50_ms": _ms(scored, 50),
        "rescore_p99_ms": _ms(scored, 99),
        "achieved_per_s": round(ready.rate, 1),
        "ready_max_per_s": round(_rate(highest["ready"])),
        "ready_ratio_to_empty": _ratio(highest["ready"], highest["empty"]),
        "redis_get_per_s": round(statistics.median(found["socket_per_s"] for found in gets)),
        "redis_py_get_per_s": round(statistics.median(found["redis_py_per_s"] for found in gets)),
        "empty_max_per_s": round(_rate(highest["empty"])),
        "rescore_max_per_s": round(_rate(highest["rescore"])),
        "ready_ratio_to_empty_by_cpu": round(
            _median(highest["empty"], "server_us") / _median(highest["ready"], "server_us"), 3
        ),
        "at_the_highest_rate": {name: _busy(turns) for name, turns in highest.items()},
        "writes": asyncio.run(bench_writes(stack.redis_url)),
        "plan": plan._asdict(),
    }


class _Turn(NamedTuple):
    """`server_us`: CPU microseconds of the server a request."""

    seconds: list[float]
    rate: float
    server_us: float
    server_busy: float
    client_busy: float


class _Server:
    """`endcap serve` with a model, on a core of its own."""

    def __init__(self, stack: LocalStack, cores: "_Cores") -> None:
        (self.port,) = free_ports(1)
        self._cores = cores
        self.child = Child(
            "endcap serve",
            [sys.executable, "-m", "endcap.deploy.cli", "serve", "--http-port", str(self.port)],
            stack.log_dir / "serve.log",
            {
                **os.environ,
                "ENDCAP_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
                "ENDCAP_REDIS_URL": stack.redis_url,
                "ENDCAP_TOPIC_PREFIX": _PREFIX,
                "ENDCAP_HTTP_RESCORE": "true",
                "ENDCAP_SESSION_STORE": "memory",
            },
        )
        self._process = psutil.Process(self.child.pid)
        _pin(self._process, cores.server)
        self.child.once(lambda: is_open(self.port), 90)

    def take(
        self, requests: Sequence[str], connections: int, seconds: float, rate: float = 0.0
    ) -> _Turn:
        """Ask, and see how busy both were."""
        load = Load(self.port, list(requests), connections, seconds, rate)
        before = self._cpu_s()
        taken = msgspec.convert(_run("http_load", load, self._cores.clients), Taken)
        server_s = self._cpu_s() - before
        if taken.failed:
            raise EndcapError(f"{taken.failed} of {len(taken.seconds)} requests failed.")
        asked = len(taken.seconds)
        return _Turn(
            taken.seconds,
            asked / taken.wall_s,
            server_s / asked * 1e6,
            server_s / taken.wall_s,
            taken.cpu_s / taken.wall_s,
        )

    def _cpu_s(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system


class _Cores(NamedTuple):
    """Empty where there is one core, or none can be chosen."""

    server: list[int]
    clients: list[int]


def _share_cores(stack: LocalStack) -> _Cores:
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        return _Cores([], [])
    first, *others = sorted(os.sched_getaffinity(0))
    for pid in stack.pids.values():
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            for thread in process.threads():
                os.sched_setaffinity(thread.id, others)
    return _Cores([first], others)


def _pin(process: psutil.Process, cores: list[int]) -> None:
    if cores:
        process.cpu_affinity(cores)


def _run(role: str, asked: Any, cores: Sequence[int] = ()) -> Any:
    """A role in a process of its own: one JSON object in, one out."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"endcap.deploy.bench.roles.{role}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    _pin(psutil.Process(process.pid), list(cores))
    said, _ = process.communicate(msgspec.json.encode(asked))
    if process.returncode:
        raise EndcapError(f"The role {role} ended with status {process.returncode}; see above.")
    return json.loads(said)


async def _fill(stack: LocalStack, settings: Settings, sessions: Sequence[Session]) -> None:
    bundle = load_bundle(settings.bundle)
    scorer = OnnxScorer(bundle, settings.provider, settings.inference_threads)
    await create_topics(stack.bootstrap_servers, topics_with_prefix(_PREFIX), 1)
    store = RedisStore(stack.redis_url)
    try:
        named: set[str] = set()
        for at in range(0, len(sessions), _BATCH):
            lists = rescore(sessions[at : at + _BATCH], bundle, scorer, Policy())
            await store.write_lists(lists)
            named |= {item.id for ready in lists.values() for item in ready.items}
        await store.write_items([item for item in bundle.items if item.item_id in named])
    finally:
        await store.close()


def _body(session: Session) -> str:
    events = [
        {
            "item_id": past.item_id,
            "event_name": _NAMES[past.type_code],
            "timestamp_ms": past.timestamp_ms,
        }
        for past in session.history
    ]
    return json.dumps({"events": events})


def _ms(turn: _Turn, percent: int) -> float:
    return round(statistics.quantiles(turn.seconds, n=100)[percent - 1] * 1000, 3)


def _rate(turns: Sequence[_Turn]) -> float:
    return statistics.median(turn.rate for turn in turns)


def _median(turns: Sequence[_Turn], name: str) -> float:
    each: list[float] = [getattr(turn, name) for turn in turns]
    return statistics.median(each)


def _ratio(ours: Sequence[_Turn], floor: Sequence[_Turn]) -> float:
    """The median over the turns: what disturbs a machine disturbs both of a turn."""
    pairs = zip(ours, floor, strict=True)
    return round(statistics.median(our.rate / its.rate for our, its in pairs), 3)


def _busy(turns: Sequence[_Turn]) -> dict[str, Any]:
    return {
        "server_us_a_request": round(_median(turns, "server_us"), 1),
        "server_busy": round(_median(turns, "server_busy"), 2),
        "client_busy": round(_median(turns, "client_busy"), 2),
        "p50_ms": round(statistics.median(_ms(turn, 50) for turn in turns), 3),
        "p99_ms": round(statistics.median(_ms(turn, 99) for turn in turns), 3),
        "spread_per_s": sorted(round(turn.rate) for turn in turns),
    }
