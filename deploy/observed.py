"""Logs and traces of a long-running process, as the settings want them."""

import atexit
import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from starlette.types import ASGIApp

from endcap.deploy.settings import Settings
from endcap.errors import RuntimeConflictError
from endcap.serving.request_log import REQUEST_ID
from endcap.traces import CURRENT

log = logging.getLogger(__name__)
_FIELDS = ("method", "route", "status", "took_ms")
"""What the line of a request has beside its message."""


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, process, message; request_id where there is
    one."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Of an exception the place and the kind are told, not its text: others' errors quote
        what they choked on, and that may be somebody's id."""
        told: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "process": self._process,
            "message": _told_of(record),
        }
        if request_id := REQUEST_ID.get():
            told["request_id"] = request_id
        told |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[0] is not None:
            told["exception"] = record.exc_info[0].__name__
            told["at"] = _places(record.exc_info[2])
            if isinstance(record.exc_info[1], BaseExceptionGroup):
                told["of"] = [
                    {"exception": type(one).__name__, "at": _places(one.__traceback__)}
                    for one in _single(record.exc_info[1])
                ]
        return json.dumps(told)


def observe(settings: Settings, process: str) -> None:
    """Called once, at the start of a process.

    Raises:
        RuntimeConflictError: traces are wanted, and OpenTelemetry's SDK is not installed.
    """
    if settings.log_format == "json":
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines(process))
        logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
        logging.getLogger("endcap.requests").setLevel(logging.INFO)
        logging.captureWarnings(True)
        _log_what_nobody_catches()
    if settings.tracing_endpoint:
        try:
            from endcap.deploy.opentelemetry_traces import opened_traces
        except ImportError as error:
            raise RuntimeConflictError(
                f"tracing_endpoint is set, and {error.name} is not installed: "
                "pip install '.[tracing]' in a clone."
            ) from error
        CURRENT.traces, provider = opened_traces(settings.tracing_endpoint, process)
        atexit.register(provider.shutdown)


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)
    return [f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in frames]


def _single(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The errors of a group, and of the groups in it: a process ends by a group of tasks."""
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _single(one)
        else:
            yield one


def _told_of(record: logging.LogRecord) -> str:
    """Of asyncio's own lines the first alone: behind it stand the task and its error's text."""
    said = record.getMessage()
    return said.partition("\n")[0] if record.name == "asyncio" else said


def _log_what_nobody_catches() -> None:
    """What ends the process, or a thread of it, is a line like all others; Python's own way prints
    the text of the error."""

    def end(kind: type[BaseException], error: BaseException, places: TracebackType | None) -> None:
        log.critical("the process ends by an error", exc_info=(kind, error, places))

    def end_of_thread(told: threading.ExceptHookArgs) -> None:
        if told.exc_value is not None:
            where = (told.exc_type, told.exc_value, told.exc_traceback)
            log.error("a thread ends by an error", exc_info=where)

    sys.excepthook = end
    threading.excepthook = end_of_thread


def request_spans() -> Callable[[ASGIApp], ASGIApp] | None:
    """The layer that makes a span of each request; None where traces are off."""
    if CURRENT.traces is None:
        return None
    from endcap.deploy.opentelemetry_traces import OpenTelemetryTraces, extract
    from endcap.serving.request_spans import RequestSpans

    traces = CURRENT.traces
    if not isinstance(traces, OpenTelemetryTraces):
        return None
    return lambda app: RequestSpans(app, traces.tracer, extract)
