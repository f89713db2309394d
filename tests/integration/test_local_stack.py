"""The local stack starts real servers, and leaves neither a process nor an open port behind."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from endcap.deploy.local_stack import LocalStack, LocalStackError
from endcap.deploy.local_stack.kafka import kafka_jars
from endcap.deploy.local_stack.ports import free_ports, is_open
from endcap.deploy.local_stack.supervised import Child, PortTakenError

pytestmark = pytest.mark.integration

NOBODY = "127.0.0.1:1"  # a given address is not looked at, so nothing need be there


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalStack]:
    """One Kafka and one Valkey for the tests that only talk to them."""
    with LocalStack(bootstrap_servers=None, redis_url=None) as stack:
        yield stack


def test_kafka_hosts_a_topic_and_a_consumer_group_as_soon_as_it_has_started(
    broker: LocalStack,
) -> None:
    async def round_trip() -> bytes | None:
        servers = broker.bootstrap_servers
        admin = AIOKafkaAdminClient(bootstrap_servers=servers)
        await admin.start()
        await admin.create_topics([NewTopic("t", num_partitions=2, replication_factor=1)])
        await admin.close()
        async with (
            AIOKafkaProducer(bootstrap_servers=servers, transactional_id="x") as producer,
            producer.transaction(),
        ):
            await producer.send_and_wait("t", b"hello")
        async with AIOKafkaConsumer(
            "t",
            bootstrap_servers=servers,
            group_id="g",
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=1000,
            heartbeat_interval_ms=300,
        ) as consumer:
            record = await asyncio.wait_for(consumer.getone(), timeout=30)
            value: bytes | None = record.value
            return value

    assert asyncio.run(round_trip()) == b"hello"


def test_valkey_keeps_what_it_is_given(broker: LocalStack) -> None:
    with redis.Redis.from_url(broker.redis_url) as client:
        assert client.set("k", "v")
        assert client.get("k") == b"v"


def test_it_says_what_it_started_and_where_the_logs_are(broker: LocalStack) -> None:
    assert set(broker.pids) == {"Valkey", "Apache Kafka"}
    assert "Kafka Server started" in next(broker.log_dir.rglob("kafka.log")).read_text()


def test_both_listen_on_the_loopback_interface_alone(broker: LocalStack) -> None:
    for pid in broker.pids.values():
        listening = [
            connection.laddr.ip
            for connection in psutil.Process(pid).net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_stopping_leaves_no_process_no_port_and_no_folder() -> None:
    with LocalStack(bootstrap_servers=None, redis_url=None) as stack:
        pids, log_dir = list(stack.pids.values()), stack.log_dir
        ports = [_port(stack.bootstrap_servers), _port(stack.redis_url)]
        assert all(map(is_open, ports))
        stack.stop()
        stack.stop()
        assert not any(map(_lives, pids))
        assert not any(map(is_open, ports))
        assert not log_dir.exists()
        with pytest.raises(LocalStackError, match="not running"):
            _ = stack.redis_url


def test_a_stack_can_be_started_again_after_it_was_stopped() -> None:
    stack = LocalStack(bootstrap_servers=NOBODY, redis_url=None)
    for _ in range(2):
        with stack, redis.Redis.from_url(stack.redis_url) as client:
            assert client.ping()


def test_a_stack_started_by_a_thread_outlives_that_thread() -> None:
    stack = LocalStack(bootstrap_servers=NOBODY, redis_url=None)
    starter = threading.Thread(target=stack.start)
    starter.start()
    starter.join()
    try:
        with redis.Redis.from_url(stack.redis_url) as client:
            for _ in range(100):
                assert client.ping()
        assert all(map(_lives, stack.pids.values()))
    finally:
        stack.stop()


PARENT = """
    import sys
    from endcap.deploy.local_stack import LocalStack, exit_on_sigterm

    exit_on_sigterm()
    with LocalStack(bootstrap_servers=None, redis_url=None) as stack:
        print(stack.log_dir, *stack.pids.values(), flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_parent_that_is_killed_leaves_no_server(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout
        log_dir, *pids = parent.stdout.readline().split()
        assert len(pids) == 2
        assert all(_lives(int(pid)) for pid in pids)
        os.kill(parent.pid, number)
        parent.wait(timeout=30)
    _wait_until(lambda: not any(_lives(int(pid)) for pid in pids))
    if number == signal.SIGKILL:  # nothing of the parent is left to remove it
        shutil.rmtree(log_dir)
    assert not Path(log_dir).exists()


def test_the_jars_are_resolved_once_and_a_damaged_cache_is_repaired(tmp_path: Path) -> None:
    said: list[str] = []
    jars = kafka_jars(tmp_path, said.append)
    assert len(said) == 1
    assert "Fetching" in said[0]
    assert len(jars) > 40

    listing = tmp_path / "kafka-4.1.0.list"
    written_at = listing.stat().st_mtime_ns
    assert kafka_jars(tmp_path, said.append) == jars
    assert listing.stat().st_mtime_ns == written_at
    assert len(said) == 1

    jars[0].unlink()
    assert kafka_jars(tmp_path, said.append) == jars
    assert jars[0].exists()
    assert len(said) == 2


def test_servers_that_are_given_are_used_and_neither_started_nor_stopped(
    broker: LocalStack,
) -> None:
    said: list[str] = []
    with LocalStack(broker.bootstrap_servers, broker.redis_url, on_progress=said.append) as stack:
        assert stack.bootstrap_servers == broker.bootstrap_servers
        assert stack.redis_url == broker.redis_url
        assert not stack.pids
    assert not said
    assert is_open(_port(broker.bootstrap_servers))
    assert is_open(_port(broker.redis_url))


def test_a_server_that_dies_at_its_start_is_reported_with_the_end_of_its_log(
    tmp_path: Path,
) -> None:
    child = Child("Sample", ["/bin/sh", "-c", "echo no such disk; exit 3"], tmp_path / "log")
    with pytest.raises(LocalStackError, match=r"Sample ended with status 3(?s:.*)no such disk"):
        child.wait_until(lambda: False, timeout_s=30)


def test_a_port_taken_meanwhile_is_told_from_other_failures(tmp_path: Path) -> None:
    said = "echo bind: Address already in use; exit 1"
    child = Child("Sample", ["/bin/sh", "-c", said], tmp_path / "log")
    with pytest.raises(PortTakenError):
        child.wait_until(lambda: False, timeout_s=30)


def test_what_stands_back_does_so_among_all_processes(tmp_path: Path) -> None:
    """Niceness counts within a scheduling group, and each server is one where Linux makes them."""
    tell = (
        "import os, pathlib; group = pathlib.Path('/proc/self/autogroup'); "
        "print('nice', os.nice(0), group.read_text() if group.exists() else '', flush=True)"
    )
    child = Child("Sample", [sys.executable, "-c", tell], tmp_path / "log", nice=7)
    child.wait_for_success(30)
    said = (tmp_path / "log").read_text()
    assert said.startswith("nice 7 ")
    if Path("/proc/self/autogroup").exists():
        assert said.strip().endswith("nice 7")


def test_a_server_that_ignores_sigterm_and_never_answers_is_given_up_and_killed(
    tmp_path: Path,
) -> None:
    deaf = "from signal import *; signal(SIGTERM, SIG_IGN); print('deaf', flush=True); pause()"
    log_file = tmp_path / "log"
    child = Child("Sample", [sys.executable, "-c", deaf], log_file)
    child.wait_until(lambda: "deaf" in log_file.read_text(), timeout_s=30)
    with pytest.raises(LocalStackError, match="did not answer within"):
        child.wait_until(lambda: False, timeout_s=0.1)
    child.stop(timeout_s=0.1)
    assert not child.is_running


def test_what_fell_during_the_block_is_named_and_its_logs_are_kept() -> None:
    stack = LocalStack(bootstrap_servers=NOBODY, redis_url=None)

    def body(kept: list[Path]) -> None:
        with stack:
            kept.append(stack.log_dir)
            psutil.Process(stack.pids["Valkey"]).kill()
            _wait_until(lambda: stack.fallen == ["Valkey"])
            raise RuntimeError("the body failed")

    kept: list[Path] = []
    with pytest.raises(RuntimeError, match="the body failed") as raised:
        body(kept)
    (log_dir,) = kept
    assert f"Valkey had ended by then: see {log_dir}" in raised.value.__notes__
    assert list(log_dir.rglob("valkey.log"))
    shutil.rmtree(log_dir)


def test_whose_message_names_the_logs_leaves_them_there() -> None:
    with (
        pytest.raises(RuntimeError) as raised,
        LocalStack(bootstrap_servers=NOBODY, redis_url=None) as stack,
    ):
        raise RuntimeError(f"it went wrong; the logs are in {stack.log_dir}")
    named = Path(str(raised.value).rpartition(" ")[2])
    assert list(named.rglob("valkey.log"))
    shutil.rmtree(named)


def test_free_ports_are_different_and_closed() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert not any(map(is_open, ports))


def _port(address: str) -> int:
    return int(address.removesuffix("/0").rpartition(":")[2])


def _lives(pid: int) -> bool:
    """A zombie is dead: whether anybody collects it is the business of process 1."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait_until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Poll with a deadline; the pause only keeps the poll from taking a whole core."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)
