"""Traces from a posted event to the list in Redis, where a process has switched them on.

Off, each place asks one attribute and goes on. What is on is one for the whole process, as
OpenTelemetry's provider is: `deploy` puts it into `CURRENT.traces`. The context travels in Kafka's
headers as W3C's `traceparent` (https://www.w3.org/TR/trace-context/). Nothing that names a shopper
is in a span.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

HEADER = "traceparent"
Headers = list[tuple[str, bytes]]


class Traces(Protocol):
    """What a process tells as its part of a trace. Times are of `time.time_ns`."""

    def headers(self) -> Headers:
        """Of the span that this task is in, for what it sends."""

    def folded(self, records: Iterable[Any], since_ns: int) -> None:
        """Consumed events were folded; those that carry a context are spans, and whose they are is
        remembered."""

    def headers_of(self, user_id: str) -> Headers:
        """For a shopper's snapshot."""

    def read(self, user_id: str, headers: Sequence[tuple[str, bytes]]) -> None:
        """A snapshot came in."""

    def hand_over(self, user_ids: Iterable[str]) -> dict[str, str]:
        """What another process, which makes the lists of what was folded here, has to know."""

    def handed_over(self, known: Mapping[str, str]) -> None:
        """From the process that folds: earlier than by `read`, which says nothing new then."""

    def written(self, user_ids: Iterable[str], since_ns: int) -> None:
        """Their lists are in Redis."""


class Current:
    """`traces`: None where they are off."""

    __slots__ = ("traces",)

    def __init__(self) -> None:
        self.traces: Traces | None = None


CURRENT = Current()
