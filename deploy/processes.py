"""Wire the parts of each long-running process, and run it until it is told to stop."""

import asyncio
import gc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from endcap.deploy.health_port import serve_health_and_metrics
from endcap.deploy.metrics_beside import Beside
from endcap.deploy.rescorer_process import opened_rescorer
from endcap.deploy.rules_watch import read_messages
from endcap.deploy.settings import Settings
from endcap.deploy.stopping import run_on_the_fastest_loop, run_together, stop_on_signal
from endcap.errors import EndcapError, SettingsError
from endcap.serving.redis_store import RedisStore
from endcap.serving.waiting_room import WaitingRoom
from endcap.streams import native
from endcap.streams.owned_partition import Place
from endcap.streams.session_store import SessionStore, memory_store
from endcap.streams.session_worker import FastLane, SessionWorker
from endcap.streams.start import Start


def settle_garbage_collection() -> None:
    """Fewer, larger collections, for a process that holds many small values.

    Sessions are immutable and hold no cycles; with Python's own thresholds the collector looked at
    all of them again and again, for half of the fold's time (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def run_stream(settings: Settings) -> None:
    """The session worker with /metrics."""

    async def main() -> None:
        serve_metrics(settings)
        settle_garbage_collection()
        worker = session_worker(settings)
        stop_on_signal(worker.stop)
        await worker.run()

    run_on_the_fastest_loop(main)


def run_rescore(settings: Settings) -> None:
    """The rescorer with /metrics; beside it, what sweeps up after erasures."""

    async def main() -> None:
        serve_metrics(settings)
        async with opened_rescorer(settings, WaitingRoom()) as parts:
            await run_together(parts)

    run_on_the_fastest_loop(main)


def session_worker(
    settings: Settings, fast_lane: FastLane | None = None, client_id: str = "endcap"
) -> SessionWorker:
    """The worker that the settings describe."""
    place = Place(
        settings.broker,
        settings.topics,
        settings.stream_group,
        settings.lateness_s * 1000,
        settings.session_timeout_s * 1000,
        _start(settings.start_from),
        settings.erasure_secret.get_secret_value(),
        settings.forget_after_days * 86_400_000,
        settings.compiled_fold and native.IS_BUILT,
        client_id,
    )
    open_store = session_store(settings, settings.sessions_dir)
    return SessionWorker(place, settings.group_instance_id, open_store, fast_lane)


def _start(start_from: str) -> Start:
    if start_from in {"earliest", "latest"}:
        return Start(at_end=start_from == "latest")
    when = datetime.fromisoformat(start_from)
    utc = when if when.tzinfo else when.replace(tzinfo=UTC)
    return Start(since_ms=int(utc.timestamp() * 1000))


def session_store(settings: Settings, folder: Path) -> Callable[[int], SessionStore]:
    """Opens the store of a partition as the settings want it."""
    if settings.session_store == "memory":
        return memory_store
    from endcap.streams.disk_sessions import DiskSessions

    return lambda partition: DiskSessions(folder / str(partition))


def run_ingest(settings: Settings) -> None:
    """The sources' topics into the events topic, with /metrics."""
    from endcap.deploy.sources import open_sources
    from endcap.streams.ingest_worker import IngestPlace, IngestWorker

    opened = open_sources(settings)

    async def main() -> None:
        serve_metrics(settings)
        place = IngestPlace(
            settings.broker,
            settings.topics,
            f"{settings.topic_prefix}-ingest",  # of no generation: the events are shared
            settings.session_timeout_s * 1000,
            _start(settings.start_from),
        )
        worker = IngestWorker(place, opened.sources, settings.group_instance_id)
        stop_on_signal(worker.stop)
        try:
            await worker.run()
        finally:
            await opened.close()

    run_on_the_fastest_loop(main)


def serve_metrics(settings: Settings, beside: Beside | None = None) -> None:
    """/metrics and /healthz on the port set, if one is; called in the running loop. `beside`:
    another process of the same command."""
    if settings.metrics_port == 0:
        return
    try:
        serve_health_and_metrics(settings.http_host, settings.metrics_port, beside)
    except OSError as error:
        raise port_taken(settings.http_host, settings.metrics_port, "metrics_port") from error


def port_taken(host: str, port: int, setting: str) -> EndcapError:
    """The one message for a port that something else holds."""
    return SettingsError(
        f"Port {port} on {host} is taken. Stop what holds it, or choose another by "
        f"--{setting.replace('_', '-')} PORT or ENDCAP_{setting.upper()}=PORT."
    )


def run_item_side(settings: Settings) -> None:
    """The Faust app with /metrics."""
    from endcap.streams.demand import DemandSettings
    from endcap.streams.trends import TrendsPlace, run_trends
    from endcap.trending import Window

    place = TrendsPlace(
        settings.broker,
        settings.topics,
        settings.data_dir / "faust",
        app_id=settings.group("trends"),
        partitions=settings.partitions,
        demand=DemandSettings(
            Window(settings.trends_window_h, settings.trends_hop_h),
            Window(settings.trends_now_h, settings.trends_hop_h),
            settings.co_purchase_period_days * 86_400_000,
            settings.trends_max_buckets,
            settings.trends_max_stores,
            settings.co_purchase_max_items,
        ),
        checkpoint_s=settings.trends_checkpoint_s,
        extensions=settings.trends_extensions,
        messages=read_messages(settings),
    )

    async def main() -> None:
        store = RedisStore(settings.store)
        stopping = asyncio.Event()
        stop_on_signal(stopping.set)
        serve_metrics(settings)
        try:
            await run_trends(place, store, stopping)
        finally:
            await store.close()

    asyncio.run(main())  # Faust brings its own ways with loops
