"""Wire the HTTP server, and run it until it is told to stop."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import LOGGING_CONFIG

from endcap.deploy.erasures import TopicErasures
from endcap.deploy.http_access import http_access
from endcap.deploy.late_model import late_model
from endcap.deploy.list_protocol import ListProtocol
from endcap.deploy.local_stack.ports import is_open
from endcap.deploy.observed import request_spans
from endcap.deploy.opened_assistant import opened_assistant, shopper_tokens
from endcap.deploy.opened_office import opened_office
from endcap.deploy.opened_shop import opened_products, opened_shop
from endcap.deploy.processes import (
    port_taken,
    session_store,
    settle_garbage_collection,
)
from endcap.deploy.rules_watch import open_rules
from endcap.deploy.settings import Settings
from endcap.deploy.stopping import run_on_the_fastest_loop, running, stop_on_signal
from endcap.serving.http import Options, create_app
from endcap.serving.kept_list import KeptList
from endcap.serving.placements import parse_placements
from endcap.serving.redis_store import RedisStore
from endcap.serving.rescore_queue import LateQueue
from endcap.serving.ruled_lists import RuledLists
from endcap.serving.segment_store import SegmentStore
from endcap.serving.shop_rules import ShopRules
from endcap.streams.event_producer import EventProducer
from endcap.streams.late_producer import LateProducer
from endcap.streams.late_sessions import LateSessions
from endcap.streams.record_producer import RecordProducer
from endcap.streams.session_view import SessionView

KEEP_ALIVE_S = 75
"""Longer than clients, proxies and balancers keep an idle connection (5 to 60 s): whoever closes
first must be the one who asks, or a request meets a connection that has just gone."""
GRACE_S = 5
"""For requests that are being answered when the process is told to stop."""
ACKNOWLEDGE_S = 5.0
"""A browser waits no longer for the answer to what it posts."""
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
    """HTTP and the storefront over the configured broker and store.

    It starts without them too: what needs one of them says so until it is there.
    """
    access = http_access(settings)
    placements = parse_placements(settings.placements)
    tokens = shopper_tokens(settings)

    async def main() -> None:
        bootstrap, topics = settings.broker, settings.topics
        producer = LateProducer(bootstrap)
        store = RedisStore(settings.store)
        segments = SegmentStore(settings.store)
        folder = settings.sessions_dir / "http"  # beside the worker's, which has it to itself
        sessions = LateSessions(SessionView(bootstrap, topics, session_store(settings, folder)))
        rules, rules_watch = open_rules(settings)
        lists = RuledLists(store, rules)
        kept = KeptList(lists, folder / "kept.json")
        keeping = asyncio.create_task(kept.run())
        try:
            await rules_watch.start()
            async with (
                running(rules_watch),
                _queue(settings, rules) as queue,
                opened_products(settings, access) as products,
                opened_shop(settings, access, products, queue, rules) as shop,
                opened_assistant(
                    settings,
                    products,
                    lists,
                    queue,
                    RecordProducer(
                        producer, topics.conversations.name, "conversation_id", ACKNOWLEDGE_S
                    ),
                ) as answerer,
            ):
                await producer.start()
                await sessions.start()
                options = Options(
                    queue,
                    RecordProducer(
                        producer, topics.impressions.name, "impression_id", ACKNOWLEDGE_S
                    ),
                    TopicErasures(bootstrap, topics, producer, ACKNOWLEDGE_S),
                    kept,
                    placements,
                    access,
                    settings.http_origins,
                    shop,
                    answerer,
                    tokens,
                    segments,
                    opened_office(settings, lists, segments),
                    settings.naming,
                    settings.log_format == "json",
                    request_spans(),
                )
                events = EventProducer(producer, topics.events.name, ACKNOWLEDGE_S)
                app = create_app(lists, events, sessions, options)
                settle_garbage_collection()
                server = Server(http_config(app, settings))

                def stop() -> None:
                    if shop is not None:
                        shop.changes.close()  # pages that listen would be waited for
                    server.ask_to_stop()

                stop_on_signal(stop)
                await server.serve()
        finally:
            keeping.cancel()
            await sessions.stop()
            await store.close()
            await segments.close()
            await producer.stop()

    if is_open(settings.http_port):
        raise port_taken(settings.http_host, settings.http_port, "http_port")
    run_on_the_fastest_loop(main)


def http_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """uvicorn with httptools, and lists without a task (docs/decisions/0023)."""
    return uvicorn.Config(
        app,
        settings.http_host,
        settings.http_port,
        http=ListProtocol,
        lifespan="off",
        access_log=False,  # its lines would hold user ids
        # None: of uvicorn's own lines only warnings are left, in the form of all others.
        log_config=None if settings.log_format == "json" else LOGGING_CONFIG,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )


@asynccontextmanager
async def _queue(settings: Settings, rules: ShopRules) -> AsyncIterator[LateQueue | None]:
    if not settings.http_rescore:
        yield None
        return
    sys.setswitchinterval(_SWITCH_S)
    async with late_model(settings, rules) as queue:
        yield queue
