"""`endcap doctor` on a real broker, a real Valkey and a real server: what is wrong is named, with
what to do."""

import asyncio
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from command_line import endcap, settings_for
from own_valkey import OwnValkey
from serve_process import ServeProcess

from endcap.deploy.doctor import examine
from endcap.deploy.doctor_deployment import clock_finding, examine_door, memory_finding
from endcap.deploy.finding import Finding
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports
from endcap.deploy.settings import Settings
from endcap.serving.store_state import StoreState
from endcap.streams.clients import create_topics, started_admin, started_consumer

pytestmark = pytest.mark.integration


def settings_on(stack: LocalStack, data_dir: Path, prefix: str, url: str | None = None) -> Settings:
    return Settings(
        kafka_bootstrap_servers=stack.bootstrap_servers,
        redis_url=url or stack.redis_url,
        topic_prefix=prefix,
        partitions=2,
        data_dir=data_dir,
    )


def of(findings: list[Finding], part: str) -> list[Finding]:
    return [each for each in findings if each.part == part]


async def test_a_new_deployment_is_well(stack: LocalStack, tmp_path: Path) -> None:
    settings = settings_on(stack, tmp_path, f"t{uuid4().hex[:8]}")
    days = settings.events_retention_days
    await create_topics(settings.broker, settings.topics, 2, 1, days, settings.kept_days)
    findings = await examine(settings)
    assert [each for each in findings if not each.ok] == []
    assert of(findings, "Topics")[0].says.endswith("events in 2 partitions")
    parts = {each.part for each in findings}
    assert {"Memory of Redis", "Clock of Redis", "Files", "Lag of stream"} <= parts


async def test_topics_of_the_wrong_form_are_named_with_the_command_that_mends_them(
    stack: LocalStack, tmp_path: Path, producer: AIOKafkaProducer
) -> None:
    settings = settings_on(stack, tmp_path, f"t{uuid4().hex[:8]}")
    topics = settings.topics
    admin = await started_admin(settings.broker)
    wrong = {"cleanup.policy": "compact"}
    await admin.create_topics(
        [
            NewTopic(topics.events.name, 3, 1, topic_configs=wrong),
            NewTopic(topics.sessions.name, 2, 1),
            NewTopic(topics.catalogue.name, 2, 1, topic_configs=wrong),
        ]
    )
    await admin.close()
    # What is missing is made as it has to be, with as many partitions as the events have.
    await create_topics(settings.broker, topics, 2)
    for _ in range(5):
        await producer.send_and_wait(topics.events.name, b"{}", b"someone")

    findings = await examine(settings, max_lag=3)
    said = "\n".join(each.says for each in of(findings, "Topics"))
    assert not any(each.ok for each in of(findings, "Topics"))
    assert f"{topics.events.name} is compacted" in said
    assert f"--entity-name {topics.events.name} --add-config cleanup.policy=delete" in said
    assert f"{topics.sessions.name} has cleanup.policy=delete, it needs compact" in said
    assert f"{topics.events.name} has message.timestamp.type=CreateTime" in said
    assert f"{topics.catalogue.name} has 2 partitions, one process has to read it whole" in said
    assert f"{topics.events.name} 3" in said
    assert f"{topics.sessions.name} 2" in said
    (lag,) = of(findings, "Lag of stream")
    assert lag == (
        "Lag of stream",
        False,
        f"nobody has read {topics.events.name} yet, which has 5: start `endcap stream`",
    )


async def test_a_group_that_falls_behind_is_named_with_how_many_may_help(
    stack: LocalStack, tmp_path: Path, producer: AIOKafkaProducer
) -> None:
    settings = settings_on(stack, tmp_path, f"t{uuid4().hex[:8]}")
    await create_topics(settings.broker, settings.topics, 2, 1, settings.events_retention_days)
    reader = await started_consumer(
        settings.broker, settings.topics.events.name, group_id=settings.stream_group
    )
    at = await producer.send_and_wait(settings.topics.events.name, b"{}", b"someone", 0)
    await reader.getone()  # it has its partitions now
    await reader.commit({TopicPartition(at.topic, at.partition): at.offset + 1})
    await reader.stop()
    for _ in range(4):
        await producer.send_and_wait(settings.topics.events.name, b"{}", b"someone", 0)
    (few,) = of(await examine(settings, max_lag=4), "Lag of stream")
    assert few == ("Lag of stream", True, f"4 records of {settings.topics.events.name} wait")
    (many,) = of(await examine(settings, max_lag=3), "Lag of stream")
    assert not many.ok
    assert many.says.endswith("up to 2 share the work")


async def test_a_store_that_may_evict_rules_is_named(stack: LocalStack, tmp_path: Path) -> None:
    settings = settings_on(stack, tmp_path, f"t{uuid4().hex[:8]}")
    await create_topics(settings.broker, settings.topics, 1)
    limits = ("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
    valkey = OwnValkey(tmp_path, *limits)
    try:
        own = settings.model_copy(update={"redis_url": valkey.url})
        (memory,) = of(await examine(own), "Memory of Redis")
    finally:
        valkey.stop()
    assert not memory.ok
    assert memory.says.endswith("CONFIG SET maxmemory-policy volatile-ttl")


def test_a_full_store_and_a_wrong_clock_are_named_before_they_hurt() -> None:
    full = memory_finding(StoreState(95, 100, "noeviction", 0.0))
    assert not full.ok
    assert "writes are refused; raise maxmemory" in full.says
    assert memory_finding(StoreState(50, 100, "volatile-ttl", 0.0)).ok
    late = clock_finding("Clock of Redis", -7.2)
    assert late == ("Clock of Redis", False, "-7.2 s to this machine's; let both follow NTP")


def test_a_door_that_leads_elsewhere_is_named_and_the_key_does_not_go_along() -> None:
    asked: list[str | None] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Authorization"])
            is_probe = self.path in {"/healthz", "/readyz"}
            self.send_response(200 if is_probe else 302)
            if not is_probe:
                self.send_header("Location", f"http://127.0.0.1:{server.server_port}/readyz")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        found = examine_door(f"http://127.0.0.1:{server.server_port}", "key-of-a-reader")
    finally:
        server.shutdown()
        server.server_close()
    assert not found[-1].ok
    assert "answers 302 to http://127.0.0.1" in found[-1].says
    assert asked == [None, None, "Bearer key-of-a-reader"]


def test_from_outside_the_door_is_looked_at_as_a_page_comes(
    stack: LocalStack, tmp_path: Path
) -> None:
    prefix = f"t{uuid4().hex[:8]}"
    settings = settings_for(stack, prefix)
    asyncio.run(create_topics(stack.bootstrap_servers, Settings(topic_prefix=prefix).topics, 1))
    server = ServeProcess(tmp_path, settings)
    try:
        found = {each.part: each for each in examine_door(server.url + "/")}
        assert found["HTTP"].ok
        assert found["HTTP ready"].ok
        assert found["Clock of HTTP"].ok
        ended = endcap("doctor", "--url", server.url, "--json", **os.environ)
        assert {row["part"] for row in json.loads(ended.stdout)} == found.keys()
    finally:
        server.child.stop()
    (away,) = examine_door(server.url)
    assert not away.ok
    assert "start `endcap serve`" in away.says
    nowhere = f"127.0.0.1:{free_ports(1)[0]}"
    assert "write http:// or https://" in examine_door(nowhere)[0].says
