"""What the fold hands over to another process arrives whole, in order, and ahead of its commit."""

import asyncio
import socket
from collections.abc import Mapping
from typing import NamedTuple

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from endcap.deploy.fast_lane import FoldEnd, RescorerEnd
from endcap.deploy.opentelemetry_traces import traces_to
from endcap.traces import CURRENT, HEADER

Handed = list[Mapping[str, bytes | None]]


async def test_what_is_handed_over_arrives_in_its_order(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    taken: Handed = []
    fold, rescorer = FoldEnd(ends[0]), RescorerEnd(ends[1], taken.append)
    rescorer.go()
    assert FoldEnd.waits_for_go(ends[0])
    fold.listen(lambda: None, lambda: None)
    fold.hand_over({"u": b"first", "v": None})
    fold.hand_over({})
    fold.hand_over({"u": b"second"})
    await fold.is_out()
    rescorer.take_in()
    assert taken == [{"u": b"first", "v": None}, {"u": b"second"}]
    rescorer.close()


async def test_more_than_the_kernel_holds_is_out_only_when_it_was_taken_in(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    taken: Handed = []
    fold, rescorer = FoldEnd(ends[0]), RescorerEnd(ends[1], taken.append)
    fold.listen(lambda: None, lambda: None)
    rows = [{f"u{number}": bytes([number]) * 200_000} for number in range(20)]
    for each in rows:
        fold.hand_over(each)
    out = asyncio.create_task(fold.is_out())
    await asyncio.wait([out], timeout=0.05)
    assert not out.done()
    rescorer.go()
    await asyncio.wait_for(out, 30)
    rescorer.take_in()
    assert taken == rows
    rescorer.close()


async def test_each_end_hears_of_the_others_wish_and_of_its_end(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    stopped, alone = asyncio.Event(), asyncio.Event()
    fold, rescorer = FoldEnd(ends[0]), RescorerEnd(ends[1], lambda _: None)
    fold.listen(stopped.set, alone.set)
    rescorer.go()
    rescorer.stop()
    await asyncio.wait_for(stopped.wait(), 30)
    assert not alone.is_set()
    rescorer.close()
    await asyncio.wait_for(alone.wait(), 30)
    fold.hand_over({"u": b"to nobody"})
    await asyncio.wait_for(fold.is_out(), 30)


async def test_who_folds_and_ends_is_missed(ends: tuple[socket.socket, socket.socket]) -> None:
    taken: Handed = []
    fold, rescorer = FoldEnd(ends[0]), RescorerEnd(ends[1], taken.append)
    rescorer.go()
    fold.hand_over({"u": b"last"})
    ends[0].close()
    await asyncio.wait_for(rescorer.until_it_ends(), 30)
    assert taken == [{"u": b"last"}]
    rescorer.close()


class Record(NamedTuple):
    key: bytes
    headers: list[tuple[str, bytes]]


async def test_a_trace_goes_on_from_the_fold_to_the_list(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = InMemorySpanExporter()
    traces, provider = traces_to(spans, "stream")
    monkeypatch.setattr(CURRENT, "traces", traces)
    fold, rescorer = FoldEnd(ends[0]), RescorerEnd(ends[1], lambda _: None)
    rescorer.go()
    posted = f"00-{'a' * 32}-{'b' * 16}-01"
    traces.folded([Record(b"u", [(HEADER, posted.encode())])], 1)
    fold.hand_over({"u": b"snapshot", "v": b"of nobody who posted"})
    traces.written(["u"], 2)  # in the process that folds no list is written
    rescorer.take_in()
    traces.written(["u", "v"], 3)
    traces.read("u", [(HEADER, posted.encode())])  # by the topic, later
    traces.written(["u"], 4)
    provider.force_flush()
    first, second = spans.get_finished_spans()
    assert (first.name, second.name, second.start_time) == ("fold", "write list", 3)
    assert second.parent is not None
    assert first.context is not None
    assert second.parent.span_id == first.context.span_id
    rescorer.close()


def test_a_rescorer_that_could_not_begin_lets_nobody_fold(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ends[1].close()
    assert not FoldEnd.waits_for_go(ends[0])
