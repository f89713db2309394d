"""`endcap demo`: real purchases through real Kafka to lists in a real Redis-compatible server."""

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live
from rich.table import Table

from endcap.bundle import Bundle
from endcap.catalogue import encode_item
from endcap.deploy.broker_report import describe_broker
from endcap.deploy.bundle_signatures import load_trusted
from endcap.deploy.demo_office import office_files, prepare
from endcap.deploy.earlier_prices import is_reduced
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports, is_open
from endcap.deploy.local_stack.supervised import Child
from endcap.deploy.monitoring.targets import TARGETS_FILE, write_targets
from endcap.deploy.processes import port_taken
from endcap.deploy.progress import Bars
from endcap.deploy.prometheus_text import Samples, buckets, quantile, scrape, total
from endcap.deploy.replay import (
    Progress,
    Shop,
    import_history,
    load_shop,
    replay_baskets,
)
from endcap.deploy.settings import Settings
from endcap.deploy.stopping import cancelled, stop_on_signal
from endcap.errors import EndcapError
from endcap.serving.redis_store import RedisStore
from endcap.streams.clients import create_topics, started_producer
from endcap.streams.event_producer import EventProducer
from endcap.topics import Topics

_ENDCAP = [sys.executable, "-m", "endcap.deploy.cli"]
_READY_S = 60.0
_REFRESH_S = 0.5
_LOG_EVERY_S = 10.0
_LATENCY = "endcap_event_to_list_seconds"
_NICE = {"trends": 10, "segments follow": 10}
"""On one machine, trends and segments may lag behind; lists may not."""


class Demo:
    """One run; `run()` returns the figures that `--json` prints."""

    def __init__(
        self,
        settings: Settings,
        rate: float,
        baskets: int | None,
        exit_when_done: bool,
        console: Console,
    ) -> None:
        self._settings = settings
        self._rate = rate
        self._baskets = baskets
        self._exit_when_done = exit_when_done
        self._console = console
        self._progress = Progress()
        self._stopped = asyncio.Event()
        self._token_secret = secrets.token_urlsafe(32)
        self._office = office_files(settings.cache_dir)
        self._ports: dict[str, int] = {}
        self._children: list[Child] = []
        self._before: dict[float, float] = {}
        self._history = 0
        self._said_at = 0.0
        self._rates_at = time.monotonic()
        self._rates_of: tuple[float, ...] = ()

    def run(self) -> dict[str, Any]:
        """Bring up the stack, replay, report, take everything down again.

        Raises:
            EndcapError: something did not start or died; the message holds the end of its log.
        """
        if self._settings.http_port and is_open(self._settings.http_port):
            raise port_taken(self._settings.http_host, self._settings.http_port, "http_port")
        bundle = load_trusted(self._settings.bundle, self._settings)
        with LocalStack(
            self._settings.given_broker,
            self._settings.redis_url,
            self._settings.cache_dir,
            on_progress=self._say,
        ) as stack:
            try:
                return asyncio.run(self._run(stack, bundle))
            finally:
                for child in reversed(self._children):
                    child.ask_to_stop()
                for child in reversed(self._children):
                    child.stop()

    def _say(self, sentence: str) -> None:
        self._console.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] {sentence}")

    async def _run(self, stack: LocalStack, bundle: Bundle) -> dict[str, Any]:
        stop_on_signal(self._stopped.set)
        topics = self._settings.topics
        await create_topics(
            stack.bootstrap_servers, topics, self._settings.partitions, self._settings.replication
        )
        async with AsyncExitStack() as closing:
            store = RedisStore(stack.redis_url)
            closing.push_async_callback(store.close)
            raw_producer = await started_producer(stack.bootstrap_servers)
            closing.push_async_callback(raw_producer.stop)
            producer = EventProducer(raw_producer, topics.events.name)
            self._start_child(stack, "stream")
            self._start_child(stack, "trends")
            self._say("Reading Complete Journey")
            shop = await asyncio.to_thread(load_shop, self._baskets)
            await self._publish_catalogue(bundle, shop, raw_producer, topics)
            self._history = await self._import(shop, producer)
            self._start_child(stack, "rescore")
            await self._until(self._served_everything, "the first lists")
            self._before = buckets(self._scrape("rescore"), _LATENCY)
            self._start_child(stack, "serve")
            url = f"http://{self._settings.http_host}:{self._ports['serve']}"
            self._say(f"The storefront is at [bold]{url}[/bold], its back office at {url}/office")
            if not self._exit_when_done:  # nobody will look at it
                preparing = asyncio.create_task(self._prepare_office(stack))
                closing.push_async_callback(cancelled, preparing)
            self._say("For other terminals, which then reach this Redis and this Kafka:")
            self._console.print(_exports(stack), highlight=False, soft_wrap=True)
            popular = [bundle.item(int(i)).item_id for i in bundle.generators.popular]
            replay = asyncio.create_task(
                replay_baskets(
                    shop.held_out,
                    producer,
                    store.read_many,
                    popular,
                    self._rate,
                    self._progress,
                    self._stopped.is_set,
                )
            )
            stopped = asyncio.ensure_future(self._stopped.wait())
            with Live(console=self._console, auto_refresh=False) as live:
                while not replay.done():
                    self._check_children(stack)
                    self._show(live, bundle)
                    await asyncio.wait([replay], timeout=_REFRESH_S)
                await replay
                if not self._stopped.is_set():
                    await self._until(self._folded_all, "the last events")
                    await self._until(self._served_everything, "the last lists")
                result = await self._result(stack, store, bundle)
                if not self._exit_when_done and not self._stopped.is_set():
                    self._say(f"Replayed. {url} stays open; Ctrl-C ends it.")
                while not self._exit_when_done and not self._stopped.is_set():
                    self._check_children(stack)
                    self._show(live, bundle)
                    await asyncio.wait([stopped], timeout=_REFRESH_S)
                stopped.cancel()
            return result

    def _show(self, live: Live, bundle: Bundle) -> None:
        """A live table on a terminal; in a log, a line now and then."""
        figures = self._figures(bundle)
        if self._console.is_terminal:
            live.update(_table(figures), refresh=True)
        elif time.monotonic() - self._said_at > _LOG_EVERY_S:
            self._said_at = time.monotonic()
            self._say(", ".join(f"{name}: {now}" for name, now in figures.items()))

    async def _prepare_office(self, stack: LocalStack) -> None:
        async def follow() -> None:
            await asyncio.to_thread(self._start_child, stack, "segments follow")

        await prepare(self._office, _ENDCAP, stack.log_dir, self._say, follow)

    def _start_child(self, stack: LocalStack, command: str) -> None:
        is_http = command == "serve"
        port = (is_http and self._settings.http_port) or free_ports(1)[0]
        environment = {
            "ENDCAP_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
            "ENDCAP_REDIS_URL": stack.redis_url,
            "ENDCAP_HTTP_PORT" if is_http else "ENDCAP_METRICS_PORT": str(port),
            "ENDCAP_HTTP_HOST": self._settings.http_host,
            "ENDCAP_HTTP_RESCORE": "true",  # words to products, in the storefront's search box
            "ENDCAP_ASSISTANT": "true",
            "ENDCAP_HTTP_OFFICE": "true",
            "ENDCAP_PRICE_EVIDENCE_FILE": str(self._office.evidence),
            "ENDCAP_SEGMENTS_FILE": str(self._office.segments),
            "ENDCAP_SHOPPER_TOKEN_SECRET": self._token_secret,
            "ENDCAP_TOPIC_PREFIX": self._settings.topic_prefix,
            "ENDCAP_BUNDLE": str(self._settings.bundle.resolve()),
            "ENDCAP_DATA_DIR": str(stack.log_dir),
            "ENDCAP_MODELS_FILE": str(stack.log_dir / "models.json"),
            "ENDCAP_PROVIDER": self._settings.provider,
        }
        child = Child(
            f"endcap {command}",
            [*_ENDCAP, *command.split()],
            stack.log_dir / f"{command.replace(' ', '-')}.log",
            os.environ | environment,
            nice=_NICE.get(command, 0),
        )
        self._ports[command] = port
        self._children.append(child)
        child.wait_until(lambda: is_open(port), _READY_S)
        if self._settings.data_dir.is_dir():
            targets = self._settings.data_dir / TARGETS_FILE
            write_targets(targets, self._settings.http_host, self._ports)

    def _check_children(self, stack: LocalStack) -> None:
        fallen = [*stack.fallen, *(c.name for c in self._children if not c.is_running)]
        if fallen:
            raise EndcapError(f"{', '.join(fallen)} died; the logs are in {stack.log_dir}.")

    async def _publish_catalogue(
        self, bundle: Bundle, shop: Shop, producer: Any, topics: Topics
    ) -> None:
        """Reduced items at their earlier price first: the change is seen as a shop's would be."""
        sold = [
            msgspec.structs.replace(item, brand=shop.brands.get(item.item_id, ""))
            for item in bundle.items
        ]
        before = [
            msgspec.structs.replace(item, price=shop.earlier_prices[item.item_id])
            for item in sold
            if is_reduced(item, shop.earlier_prices)
        ]
        for items in (before, sold):
            waiting = [
                await producer.send(
                    topics.catalogue.name, encode_item(item), key=item.item_id.encode()
                )
                for item in items
            ]
            await asyncio.gather(*waiting)

    async def _import(self, shop: Shop, producer: EventProducer) -> int:
        total_baskets = len(shop.history)
        with Bars(self._console) as bars:

            def show_folded() -> bool:
                handled = self._handled()
                bars.advance("Folded into sessions", int(handled), total_baskets)
                return handled >= total_baskets

            sent = await import_history(
                shop.history,
                producer,
                lambda n: bars.advance("Purchase history into Kafka", n, total_baskets),
                self._stopped.is_set,
            )
            await self._until(show_folded, "the history")
        return sent

    async def _until(self, reached: Callable[[], bool], what: str) -> None:
        """Poll a real condition; give up when nothing moved for `_READY_S` seconds."""
        moved, last = time.monotonic(), -1.0
        while not await asyncio.to_thread(reached):
            if self._stopped.is_set():
                raise KeyboardInterrupt
            now = self._handled() + self._snapshots_done()
            if now != last:
                moved, last = time.monotonic(), now
            if time.monotonic() - moved > _READY_S:
                raise EndcapError(f"Waited {_READY_S:.0f} s for {what} and nothing moved.")
            await asyncio.sleep(0.1)

    def _scrape(self, process: str) -> Samples:
        return scrape(self._ports[process]) if process in self._ports else {}

    def _handled(self) -> float:
        return total(self._scrape("stream"), "endcap_events_total")

    def _folded_all(self) -> bool:
        return self._handled() >= self._history + self._progress.sent

    def _snapshots_done(self, held: Samples | None = None) -> float:
        """How many snapshots were read and are answered for, or will be."""
        held = self._scrape("rescore") if held is None else held
        return total(held, "endcap_snapshots_read_total")

    def _served_everything(self) -> bool:
        held = self._scrape("rescore")
        written = total(self._scrape("stream"), "endcap_snapshots_total")
        unfinished = total(held, "endcap_lists_unfinished")
        return written > 0 and self._snapshots_done(held) >= written and unfinished == 0

    def _latency_ms(self, held: Samples) -> dict[str, float | None]:
        now = buckets(held, _LATENCY)
        found = {"p50": quantile(now, self._before, 0.5), "p99": quantile(now, self._before, 0.99)}
        return {k: None if v is None else round(v * 1000, 1) for k, v in found.items()}

    def _figures(self, bundle: Bundle) -> dict[str, str]:
        stream, rescore = self._scrape("stream"), self._scrape("rescore")
        latency = self._latency_ms(rescore)
        waiting = total(rescore, "endcap_lists_unfinished") + (
            total(stream, "endcap_snapshots_total") - self._snapshots_done(rescore)
        )
        progress = self._progress
        folded = total(stream, "endcap_events_total", {"outcome": "folded"})
        lists = total(rescore, "endcap_lists_written_total")
        events_s, lists_s = self._rates(folded, lists)
        return {
            "events sent, history included": f"{self._history + progress.sent:,}",
            "events folded": f"{folded:,.0f} ({events_s:,.0f}/s)",
            "lists written": f"{lists:,.0f} ({lists_s:,.0f}/s)",
            "lag (sessions waiting)": f"{waiting:,.0f}",
            "event to list p50 / p99": f"{latency['p50']} / {latency['p99']} ms",
            "hit rate at 10": f"{progress.hit_rate():.3f}",
            "popularity's hit rate": f"{progress.popularity_hit_rate():.3f}",
            "dead letters": f"{total(stream, 'endcap_dead_letters_total'):,.0f}",
            "provider": _provider(rescore),
            "model": bundle.manifest.name,
        }

    def _rates(self, *totals: float) -> list[float]:
        """How fast each total has grown since the last call."""
        now = time.monotonic()
        elapsed, before = now - self._rates_at, self._rates_of or totals
        self._rates_at, self._rates_of = now, totals
        return [max(0.0, a - b) / max(elapsed, 1e-3) for a, b in zip(totals, before, strict=True)]

    async def _result(self, stack: LocalStack, store: RedisStore, bundle: Bundle) -> dict[str, Any]:
        stream, rescore = self._scrape("stream"), self._scrape("rescore")
        return {
            "broker": await describe_broker(stack.bootstrap_servers),
            "store": await store.server(),
            "events_in": self._history + self._progress.sent,
            "events_folded": int(total(stream, "endcap_events_total", {"outcome": "folded"})),
            "lists_written": int(
                total(rescore, "endcap_lists_written_total", {"outcome": "written"})
            ),
            "users_with_list": await store.count_users(),
            "latency_ms": self._latency_ms(rescore),
            "hit_rate_at_10": round(self._progress.hit_rate(), 4),
            "popularity_hit_rate_at_10": round(self._progress.popularity_hit_rate(), 4),
            "dead_letters": int(total(stream, "endcap_dead_letters_total")),
            "provider": _provider(rescore),
            "model": bundle.manifest.name,
        }


def _exports(stack: LocalStack) -> str:
    """A line for a shell: in whole, so that it can be copied."""
    return (
        f"export ENDCAP_REDIS_URL={stack.redis_url} "
        f"ENDCAP_KAFKA_BOOTSTRAP_SERVERS={stack.bootstrap_servers}"
    )


def _table(figures: dict[str, str]) -> Table:
    table = Table(title="endcap: real purchases, live", min_width=60)
    table.add_column("figure")
    table.add_column("now", justify="right")
    for figure, now in figures.items():
        table.add_row(figure, now)
    return table


def _provider(samples: Samples) -> str:
    for name, labels in samples:
        if name == "endcap_model_info":
            return dict(labels)["provider"]
    return "not started"
