"""A collector of spans: OTLP over HTTP, as OpenTelemetry's own takes it, kept in memory."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Span(NamedTuple):
    process: str
    name: str
    trace: str
    own: str
    parent: str
    raw: str


class SpanCollector:
    """It listens on `url` until `stop`."""

    def __init__(self) -> None:
        spans = self.spans = list[Span]()

        class Taker(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    raw = gzip.decompress(raw)
                spans.extend(_spans_of(ExportTraceServiceRequest.FromString(raw)))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _spans_of(request: ExportTraceServiceRequest) -> list[Span]:
    found = []
    for of_process in request.resource_spans:
        names = {a.key: a.value.string_value for a in of_process.resource.attributes}
        for scope in of_process.scope_spans:
            found += [
                Span(
                    names["service.name"],
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    str(span),
                )
                for span in scope.spans
            ]
    return found
