"""What the running processes export: what Prometheus may read, what dashboards and alerts ask for,
and what it says of a shop's events."""

import asyncio
import json
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
from fleet import PROCESSES, SOURCE, Fleet
from prometheus_client.parser import text_string_to_metric_families
from promtool import names_in, needs_promtool, promtool, rules

from endcap.bundle import load_bundle
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.monitoring.dashboards import BOARDS
from endcap.deploy.prometheus_text import total
from endcap.deploy.settings import DEMO_BUNDLE
from endcap.streams.clients import started_producer, stop_producer
from endcap.streams.person import request_erasure

pytestmark = pytest.mark.integration
OF_PROMETHEUS = {"up", "ALERTS"}
USER = f"shopper-{uuid4().hex}"
HEARD = {"type": "track", "event": "Song Played", "messageId": "s", "userId": USER}


@pytest.fixture(scope="module")
def fleet(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """After some events, one that is none, a source's, a list that was shown, and an erasure."""
    running = Fleet(stack, tmp_path_factory.mktemp("fleet"))
    try:
        _shop(running)
        yield running
    finally:
        running.stop()


def _shop(fleet: Fleet) -> None:
    bundle = load_bundle(DEMO_BUNDLE)
    items = [bundle.item(int(index)).item_id for index in bundle.generators.popular[:2]]
    fleet.until(lambda: fleet.get("/v1/trending")["items"], "the server's start")
    asyncio.run(_rubbish(fleet))
    for number, (kind, item) in enumerate(
        [("view_item", items[0]), ("add_to_cart", items[0]), ("view_item", items[1])]
    ):
        event = {
            "event_id": uuid4().hex,
            "user_id": USER,
            "event_name": kind,
            "timestamp_ms": int(time.time() * 1000) - 10 + number,
            "items": [{"item_id": item}],
        }
        fleet.post("/v1/events", [event])
        path = f"/v1/recommendations/{USER}"
        fleet.until(
            lambda path=path, newest=number + 1: fleet.get(path).get("version") == newest,
            f"list {number + 1}",
        )
    asyncio.run(_erase(fleet))
    fleet.until(lambda: total(fleet.samples("rescore"), "endcap_erasures_swept_total"), "the sweep")


async def _rubbish(fleet: Fleet) -> None:
    settings = fleet.settings
    producer = await started_producer(settings.broker)
    try:
        await producer.send_and_wait(settings.topics.events.name, b"{not json", USER.encode())
        for value in (json.dumps(HEARD).encode(), b"{not json"):
            await producer.send_and_wait(fleet.source_topic, value)
    finally:
        await stop_producer(producer)


async def _erase(fleet: Fleet) -> None:
    await request_erasure(fleet.settings.broker, fleet.settings.topics, USER, uuid4().hex)


@needs_promtool
@pytest.mark.parametrize("process", PROCESSES)
def test_prometheus_finds_nothing_to_say_about_what_a_process_exports(
    fleet: Fleet, process: str
) -> None:
    assert promtool("check", "metrics", text=fleet.text(process)) == ""


def test_every_metric_of_a_panel_or_a_rule_is_exported_by_a_running_process(fleet: Fleet) -> None:
    exported = {
        family.name.removesuffix("_info")
        for process in PROCESSES
        for family in text_string_to_metric_families(fleet.text(process))
    }
    queries = [q.promql for board in BOARDS for panel in board.panels for q in panel.queries]
    asked = set().union(*map(names_in, (*queries, *(rule["expr"] for rule in rules()))))
    assert {name for name in asked if ":" not in name} - exported == set()


def test_no_process_exports_a_shoppers_id(fleet: Fleet) -> None:
    for process in PROCESSES:
        assert USER not in fleet.text(process)


def test_events_are_told_by_type_and_outcome_and_none_is_left_waiting(fleet: Fleet) -> None:
    stream = fleet.samples("stream")
    by_type = "endcap_events_by_type_total"
    assert total(stream, by_type, {"event_name": "view_item"}) == 2
    assert total(stream, by_type, {"event_name": "add_to_cart"}) == 1
    assert total(stream, "endcap_dead_letters_total", {"reason": "not_json"}) == 1
    fleet.until(
        lambda: not total(fleet.samples("stream"), "endcap_stream_lag_records"), "all folded"
    )
    fleet.until(
        lambda: not total(fleet.samples("rescore"), "endcap_rescore_lag_records"), "all written"
    )
    lag = [labels for name, labels in stream if name == "endcap_stream_lag_records"]
    assert {dict(labels)["topic"] for labels in lag} == {"events", "erasures", "handovers"}
    assert total(stream, "endcap_restore_records_left") == 0


def test_ingest_tells_what_became_of_each_record_and_how_many_wait(fleet: Fleet) -> None:
    records, lag = "endcap_ingest_records_total", "endcap_ingest_lag_records"
    fleet.until(lambda: total(fleet.samples("ingest"), records) == 2, "both records")
    fleet.until(lambda: not total(fleet.samples("ingest"), lag), "all read")
    ingest = fleet.samples("ingest")
    assert total(ingest, records, {"source": SOURCE, "outcome": "ignored"}) == 1
    assert total(ingest, records, {"source": SOURCE, "outcome": "dead_letter"}) == 1
    assert [dict(labels) for name, labels in ingest if name == lag] == [
        {"source": SOURCE, "partition": "0"}
    ]


def test_the_rescorer_tells_how_good_its_lists_are_and_what_its_model_is_asked(
    fleet: Fleet,
) -> None:
    rescore = fleet.samples("rescore")
    # The second look at another best seller; carting what was looked at counts too.
    assert total(rescore, "endcap_online_judged_total") == 2
    assert total(rescore, "endcap_online_hits_total", {"ranker": "popular"}) == 2
    assert total(rescore, "endcap_lists_empty_total") == 0
    assert 0 < total(rescore, "endcap_online_coverage") < 0.01
    asked = "endcap_model_input_sessions_total"
    assert total(rescore, asked, {"feature": "newest_item", "bin": "fifth_1"}) == 3
    known = {"model": "completejourney"}
    assert total(rescore, "endcap_model_input_reference_known", known) == 1
    assert total(rescore, "endcap_candidates_by_source_total") > 0


def test_the_server_tells_how_old_shown_lists_are_and_how_long_redis_takes(fleet: Fleet) -> None:
    serve = fleet.samples("serve")
    assert total(serve, "endcap_shown_list_age_seconds_count") >= 3
    assert total(serve, "endcap_redis_read_seconds_count") > 0


def test_an_erasure_that_is_done_is_open_no_more(fleet: Fleet) -> None:
    rescore = fleet.samples("rescore")
    assert total(rescore, "endcap_erasure_open_since_timestamp_seconds") == 0
    assert total(rescore, "endcap_erasures_swept_total") == 1
