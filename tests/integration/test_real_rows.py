"""Real clickstreams, raw, from the file to the sessions: every row is accounted for."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from command_line import endcap, settings_for
from real_sets import real_set
from stream_topics import sessions_in

from endcap.adapters import translate
from endcap.deploy.adapters import NamedAdapter, find_adapter
from endcap.deploy.file_replay import read_rows
from endcap.deploy.local_stack import LocalStack
from endcap.errors import InvalidEventError
from endcap.events import Event, parse_event
from endcap.sessions import fold_all
from endcap.streams.clients import create_topics
from endcap.streams.folded_batch import FoldedBatch
from endcap.streams.owned_partition import Place
from endcap.streams.session_worker import SessionWorker
from endcap.topics import topics_with_prefix

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
FAR = 1 << 62
RETAILROCKET: dict[str, Any] = {
    "user": "user",
    "item": "item",
    "type": "event",
    "time": "ts",
    "time_unit": "s",
    "types": {"view": "view_item", "cart": "add_to_cart", "buy": "purchase"},
}
SETS = {
    "rees46": ("rees46_head/2019-Oct_head.csv.gz", {}),
    "retailrocket": ("retailrocket_multibehavior/events.csv.gz", {"retailrocket": RETAILROCKET}),
}


class CountingWorker(SessionWorker):
    """Stops when it has handled as many records as there are."""

    def __init__(self, place: Place, records: int) -> None:
        super().__init__(place)
        self.sums: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self._records = records

    def handled(self, batch: FoldedBatch) -> None:
        super().handled(batch)
        self.sums += batch.outcomes
        self.reasons.update(letter.error.reason for letter in batch.dead_letters)
        if self.sums.total() >= self._records:
            self.stop()


def events_of(path: Path, adapter: NamedAdapter) -> list[Event]:
    found = []
    for row in read_rows(path):
        try:
            event = translate(row.value, adapter.decode, adapter.adapt, FAR)
        except InvalidEventError:
            continue
        if event is not None:
            found.append(parse_event(event.encoded, FAR))
    return found


@pytest.mark.parametrize("name", SETS)
async def test_every_row_of_a_real_file_is_accounted_for(name: str, stack: LocalStack) -> None:
    relative, mappings = SETS[name]
    path = real_set(relative)
    prefix = f"t{uuid4().hex[:8]}"
    topics = topics_with_prefix(prefix)
    await create_topics(stack.bootstrap_servers, topics, 4)
    settings = settings_for(stack, prefix) | {"ENDCAP_ADAPTERS": json.dumps(mappings)}
    replayed = await asyncio.to_thread(
        endcap, "replay", path, "--adapter", name, "--json", timeout_s=200, **settings
    )
    assert replayed.returncode == 0, replayed.stderr
    rows = json.loads(replayed.stdout)
    assert rows["rows"] == rows["sent"] + rows["ignored"] + sum(rows["refused"].values())

    worker = CountingWorker(
        Place(stack.bootstrap_servers, topics, f"{prefix}-stream"), rows["sent"]
    )
    await asyncio.wait_for(worker.run(), 120)

    late = worker.reasons["late"]
    print(
        f"{name}: {rows['rows']} rows = {sum(rows['refused'].values())} refused + "
        f"{rows['ignored']} ignored + {worker.sums['folded']} folded + "
        f"{worker.sums['duplicate']} duplicate + {late} late + "
        f"{worker.sums['dead_letter'] - late} other dead letters"
    )
    assert worker.sums.total() == rows["sent"]
    assert worker.sums["dead_letter"] == worker.reasons.total() == late
    assert worker.sums["already_folded"] == 0
    sessions = await sessions_in(stack.bootstrap_servers, topics)
    expected = fold_all(events_of(path, find_adapter(name, mappings)))
    assert worker.sums["folded"] == sum(s.events_folded for s in sessions.values())
    if late == 0:
        assert sessions == expected
