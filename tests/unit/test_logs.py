"""JSON logs tell of an error where it was, and never what it choked on: that may be an id."""

import asyncio
import gc
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from endcap.deploy.local_stack.ports import free_ports
from endcap.deploy.observed import JsonLines
from endcap.deploy.serve_process import Server, http_config
from endcap.deploy.settings import Settings
from endcap.serving.http import Options, create_app
from endcap.serving.memory_store import MemoryStore
from endcap.serving.ruled_lists import RuledLists
from endcap.sessions import Session

WHO = "ann-4711"
_OBSERVED = """
import asyncio, threading, warnings
from endcap.deploy.observed import observe
from endcap.deploy.settings import Settings
observe(Settings(log_format="json"), "stream")
def fail(): raise ValueError("ann-4711")
"""


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a process with `log_format = "json"` would have written."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines("serve"))
    root = logging.getLogger()
    root.addHandler(handler)
    yield written
    root.removeHandler(handler)


def _lines(written: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.splitlines()]


class Choking:
    """A reader of sessions with a mistake in it."""

    async def session(self, user_id: str) -> Session | None:
        raise ValueError(f"no session of {user_id}")


async def test_a_route_that_fails_is_logged_with_its_places_and_without_the_shopper(
    log: io.StringIO,
) -> None:
    (port,) = free_ports(1)
    settings = Settings(http_port=port, log_format="json")
    app = create_app(RuledLists(MemoryStore()), None, Choking(), Options(has_log=True))  # type: ignore[arg-type]
    server = Server(http_config(app, settings))
    serving = asyncio.create_task(server.serve())
    try:
        transport = httpx.AsyncHTTPTransport(retries=10)
        async with httpx.AsyncClient(transport=transport) as client:
            answer = await client.get(f"http://127.0.0.1:{port}/v1/users/{WHO}/session")
    finally:
        server.ask_to_stop()
        await serving
    assert answer.status_code == 500
    assert WHO not in answer.text
    (told,) = [line for line in _lines(log.getvalue()) if line.get("exception")]
    assert told["exception"] == "ValueError"
    assert any(place.startswith("session (") for place in told["at"])
    assert WHO not in log.getvalue()


async def test_a_task_that_nobody_waited_for_is_told_without_the_text_of_its_error(
    log: io.StringIO,
) -> None:
    async def fail() -> None:
        raise ValueError(WHO)

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()
    (told,) = _lines(log.getvalue())
    assert (told["logger"], told["exception"]) == ("asyncio", "ValueError")
    assert WHO not in log.getvalue()


@pytest.mark.parametrize(
    ("ends", "code", "kind"),
    [
        ("fail()", 1, "ValueError"),
        ("thread = threading.Thread(target=fail); thread.start(); thread.join()", 0, "ValueError"),
        ("raise ExceptionGroup('of tasks', [ValueError('ann-4711')])", 1, "ExceptionGroup"),
        ("warnings.warn('old', stacklevel=1)", 0, None),
    ],
)
def test_what_nobody_catches_is_a_line_like_all_others(
    ends: str, code: int, kind: str | None
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _OBSERVED + ends], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code
    (line,) = _lines(done.stderr)
    assert (line["process"], line.get("exception")) == ("stream", kind)
    assert [one["exception"] for one in line.get("of", ())] in ([], ["ValueError"])
    assert bool(line.get("of")) == (kind == "ExceptionGroup")
    assert WHO not in done.stderr
