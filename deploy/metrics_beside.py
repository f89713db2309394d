"""One /metrics for two processes that are one command: what the other has counted is added."""

import socket
import threading
from collections.abc import Iterator, Mapping

import msgspec
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from endcap.deploy.frames import Frames, framed
from endcap.deploy.heartbeat import Heartbeat

_ANSWER_S = 2.0
_AT_ONCE = 1 << 16
_OF_ONE_PROCESS = {"process_start_time_seconds", "process_max_fds", "python_info"}
"""Sums of these say nothing: those of the process that is asked stand for both."""


class _Family(msgspec.Struct, array_like=True):
    name: str
    documentation: str
    kind: str
    samples: list[tuple[str, dict[str, str], float]]


class _Asked(msgspec.Struct, array_like=True):
    number: int
    with_families: bool


class _Told(msgspec.Struct, array_like=True):
    number: int
    age_s: float
    families: list[_Family]


class SilentProcessError(Exception):
    """The other process does not answer."""


def tell_of(end: socket.socket, heart: Heartbeat, registry: CollectorRegistry) -> None:
    """Answer at this end, in a thread, for as long as the process runs."""

    def on() -> None:
        frames = Frames()
        while piece := end.recv(_AT_ONCE):
            for message in frames.of(piece):
                asked = msgspec.msgpack.decode(message, type=_Asked)
                families = _families(registry) if asked.with_families else []
                told = _Told(asked.number, heart.age_s, families)
                end.sendall(framed(msgspec.msgpack.encode(told)))

    threading.Thread(target=on, daemon=True, name="metrics").start()


def _families(registry: CollectorRegistry) -> list[_Family]:
    return [
        _Family(
            each.name,
            each.documentation,
            each.type,
            [(sample.name, dict(sample.labels), sample.value) for sample in each.samples],
        )
        for each in registry.collect()
    ]


class Beside:
    """What the process at the other end has to tell; one asks at a time.

    Both raise `SilentProcessError` where nothing comes within two seconds.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._end.settimeout(_ANSWER_S)
        self._turn = threading.Lock()
        self._frames = Frames()
        self._number = 0

    def age_s(self) -> float:
        """How long ago its loop turned."""
        return self._ask(with_families=False).age_s

    def families(self) -> list[_Family]:
        """Its metrics."""
        return self._ask(with_families=True).families

    def _ask(self, *, with_families: bool) -> _Told:
        with self._turn:
            self._number += 1
            question = _Asked(self._number, with_families)
            try:
                self._end.sendall(framed(msgspec.msgpack.encode(question)))
                while piece := self._end.recv(_AT_ONCE):
                    for message in self._frames.of(piece):
                        told = msgspec.msgpack.decode(message, type=_Told)
                        # One that came too late for the last question is passed over.
                        if told.number == self._number:
                            return told
            except OSError as error:
                raise SilentProcessError from error
        raise SilentProcessError


class Summed(Collector):
    """Its own families and those beside it, each once.

    A process that does not answer is left out: its counters are missing then, not zero. /healthz
    says that it does not answer.
    """

    def __init__(self, own: CollectorRegistry, beside: Beside) -> None:
        self._own = own
        self._beside = beside

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        families = {each.name: each for each in self._own.collect()}
        try:
            told = self._beside.families()
        except SilentProcessError:
            told = []
        for each in told:
            if each.name not in _OF_ONE_PROCESS or each.name not in families:
                families[each.name] = _sum(families.get(each.name), each)
        yield from families.values()


def _sum(own: Metric | None, more: _Family) -> Metric:
    summed = Metric(more.name, more.documentation, more.kind)
    held = {_key(each.name, each.labels): each.value for each in own.samples} if own else {}
    for name, labels, value in more.samples:
        before = held.pop(_key(name, labels), 0.0)
        # When a counter began is no number to be added to.
        began = name.endswith("_created")
        summed.add_sample(name, labels, min(value, before or value) if began else value + before)
    for (name, pairs), value in held.items():
        summed.add_sample(name, dict(pairs), value)
    return summed


def _key(name: str, labels: Mapping[str, str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(labels.items()))
