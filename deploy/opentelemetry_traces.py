"""Traces by OpenTelemetry's SDK, sent as OTLP over HTTP; the only module that knows it."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from endcap.traces import HEADER, Headers

REMEMBERED = 20_000
"""Shoppers between the fold of an event and the writing of their list."""
_TIMEOUT_S = 5
_context = TraceContextTextMapPropagator()
extract = _context.extract


class OpenTelemetryTraces:
    """Implements `endcap.traces.Traces`."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self._snapshots: OrderedDict[str, str] = OrderedDict()
        self._lists: OrderedDict[str, str] = OrderedDict()
        self._folds = False

    def headers(self) -> Headers:
        """Of the current span; none where there is none."""
        return _as_headers(_traceparent(None))

    def folded(self, records: Iterable[Any], since_ns: int) -> None:
        """A span for each event that carries a context."""
        for record in records:
            carried = _carried(record.headers)
            if carried is None or record.key is None:
                continue
            user_id = record.key.decode(errors="replace")
            own = self._span("fold", carried, since_ns)
            _remember(self._snapshots, user_id, own)
            _remember(self._lists, user_id, own)
            self._folds = True

    def headers_of(self, user_id: str) -> Headers:
        """Of the newest event of theirs that was folded."""
        return _as_headers(self._snapshots.pop(user_id, None))

    def read(self, user_id: str, headers: Sequence[tuple[str, bytes]]) -> None:
        """Remembered until the list is written. Where this process folds, or the fold hands over to
        it, it is known, and the list may be written already."""
        carried = None if self._folds else _carried(headers)
        if carried is not None:
            _remember(self._lists, user_id, carried)

    def hand_over(self, user_ids: Iterable[str]) -> dict[str, str]:
        """See `Traces`."""
        return {user: self._lists.pop(user) for user in user_ids if user in self._lists}

    def handed_over(self, known: Mapping[str, str]) -> None:
        """See `Traces`."""
        self._folds = self._folds or bool(known)
        for user_id, carried in known.items():
            _remember(self._lists, user_id, carried)

    def written(self, user_ids: Iterable[str], since_ns: int) -> None:
        """A span for each list that an event with a context has led to."""
        for user_id in user_ids:
            carried = self._lists.pop(user_id, None)
            if carried is not None:
                self._span("write list", carried, since_ns, SpanKind.CLIENT)

    def _span(
        self, name: str, carried: str, since_ns: int, kind: SpanKind = SpanKind.CONSUMER
    ) -> str:
        """The span's own context, for its children."""
        parent = extract({HEADER: carried})
        span = self.tracer.start_span(name, parent, kind, start_time=since_ns)
        span.end()
        return _traceparent(trace.set_span_in_context(span)) or carried


def opened_traces(endpoint: str, process: str) -> tuple[OpenTelemetryTraces, TracerProvider]:
    """Spans go to a collector; what it does not take is dropped, and nobody waits for it.

    `endpoint`: of OTLP over HTTP, `http://collector:4318`. `process`: what runs here, `stream`.
    """
    return traces_to(
        OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_TIMEOUT_S), process
    )


def traces_to(exporter: SpanExporter, process: str) -> tuple[OpenTelemetryTraces, TracerProvider]:
    """Spans go there."""
    provider = TracerProvider(resource=Resource.create({"service.name": f"endcap-{process}"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return OpenTelemetryTraces(provider.get_tracer("endcap")), provider


def _traceparent(context: Context | None) -> str | None:
    carrier: dict[str, str] = {}
    _context.inject(carrier, context)
    return carrier.get(HEADER)


def _as_headers(carried: str | None) -> Headers:
    return [] if carried is None else [(HEADER, carried.encode())]


def _carried(headers: Sequence[tuple[str, bytes | None]]) -> str | None:
    for name, value in headers:
        if name == HEADER and value is not None:
            return value.decode(errors="replace")
    return None


def _remember(held: OrderedDict[str, str], user_id: str, carried: str) -> None:
    held[user_id] = carried
    held.move_to_end(user_id)
    if len(held) > REMEMBERED:
        held.popitem(last=False)
