"""Wire the HTTP server, and run it until it is told to stop."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from endcap.deploy.local_stack.ports import is_open
from endcap.deploy.model_watch import open_slot_without_shadow
from endcap.deploy.processes import (
    port_taken,
    session_store,
    settle_garbage_collection,
)
from endcap.deploy.rules_watch import open_rules
from endcap.deploy.settings import Settings
from endcap.deploy.stopping import Part, run_on_the_fastest_loop, stop_on_signal
from endcap.serving.http import create_app
from endcap.serving.redis_store import RedisStore
from endcap.serving.rescore_queue import RescoreQueue
from endcap.serving.ruled_lists import RuledLists
from endcap.serving.shop_rules import ShopRules
from endcap.streams.clients import started_producer
from endcap.streams.event_producer import EventProducer
from endcap.streams.session_view import SessionView
from endcap.streams.topic_view import catalogue_view

GRACE_S = 5
"""For requests that are being answered when the process is told to stop."""
# Python's own 5 ms, for which a batch in its thread may keep the event loop from running, are as
# long as the answer to a ready list may take in all.
_SWITCH_S = 0.0005


class Server(uvicorn.Server):
    """Leaves signals to us: uvicorn raises again what it caught, and nothing would be closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield

    def ask_to_stop(self) -> None:
        """Take no more requests, finish those that are there."""
        self.should_exit = True


def run_serve(settings: Settings) -> None:
    """HTTP and the storefront over the configured broker and store."""

    async def main() -> None:
        bootstrap, topics = settings.broker, settings.topics
        producer = await started_producer(bootstrap)
        store = RedisStore(settings.store)
        folder = settings.sessions_dir / "http"  # beside the worker's, which has it to itself
        sessions = SessionView(bootstrap, topics, session_store(settings, folder))
        shop, rules_watch = open_rules(settings)
        try:
            await rules_watch.start()
            async with _queue(settings, shop) as queue, _running(rules_watch):
                await sessions.start()
                events = EventProducer(producer, topics.events.name)
                app = create_app(RuledLists(store, shop), events, sessions, queue)
                settle_garbage_collection()
                server = Server(http_config(app, settings))
                stop_on_signal(server.ask_to_stop)
                await server.serve()
        finally:
            await sessions.stop()
            await store.close()
            await producer.stop()

    if is_open(settings.http_port):
        raise port_taken(settings.http_host, settings.http_port, "http_port")
    run_on_the_fastest_loop(main)


def http_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """uvicorn with httptools where it is installed (docs/decisions/0023)."""
    return uvicorn.Config(
        app,
        settings.http_host,
        settings.http_port,
        lifespan="off",
        access_log=False,  # its lines would hold user ids
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )


@asynccontextmanager
async def _running(part: Part) -> AsyncIterator[None]:
    running = asyncio.create_task(part.run())
    try:
        yield
    finally:
        part.stop()
        await running


@asynccontextmanager
async def _queue(settings: Settings, shop: ShopRules) -> AsyncIterator[RescoreQueue | None]:
    if not settings.http_rescore:
        yield None
        return
    slot, watch = open_slot_without_shadow(settings)
    sys.setswitchinterval(_SWITCH_S)
    catalogue = catalogue_view(settings.broker, settings.topics)
    await catalogue.start()
    try:
        async with _running(watch):
            yield RescoreQueue(slot, catalogue, shop)
    finally:
        await catalogue.stop()
