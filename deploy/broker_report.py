"""What a Kafka broker says of itself.

The protocol carries no version string. A broker names its features in ApiVersions (KIP-584), and
the level of `metadata.version` is that of its release.
"""

import asyncio
import struct
from io import BytesIO

from endcap.errors import BrokerUnavailableError
from endcap.streams.clients import started_admin
from endcap.streams.kafka_security import security_of

_TIMEOUT_S = 5.0
_API_VERSIONS, _VERSION, _CORRELATION = 18, 3, 7
_SUPPORTED_FEATURES = 0  # a tag of ApiVersionsResponse
# The last level of each release: org.apache.kafka.server.common.MetadataVersion.
_RELEASES = {7: "3.3", 8: "3.4", 11: "3.5", 14: "3.6", 19: "3.7", 20: "3.8", 21: "3.9"} | {
    25: "4.0",
    27: "4.1",
    29: "4.2",
    30: "4.3",
    33: "4.4",
}


async def describe_broker(bootstrap_servers: str) -> str:
    """A line for a person: release, feature level, cluster id and the number of brokers.

    Raises:
        BrokerUnavailableError: it does not answer.
    """
    host, _, port = bootstrap_servers.split(",")[0].strip().rpartition(":")
    try:
        levels = await asyncio.wait_for(
            _supported_features(bootstrap_servers, host, int(port)), _TIMEOUT_S
        )
        admin = await started_admin(bootstrap_servers)
        try:
            cluster = await admin.describe_cluster()
        finally:
            await admin.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise BrokerUnavailableError(
            f"The broker at {bootstrap_servers} does not say what it is ({type(error).__name__})."
        ) from error
    brokers = len(cluster["brokers"])
    where = f"cluster {cluster['cluster_id']}, {brokers} broker{'s' if brokers > 1 else ''}"
    level = levels.get("metadata.version")
    if level is None:
        return f"a broker of Kafka's protocol without metadata.version, {where}"
    release = next((name for last, name in _RELEASES.items() if level <= last), "newer than 4.4")
    return f"Apache Kafka {release} (metadata.version {level}), {where}"


async def _supported_features(bootstrap_servers: str, host: str, port: int) -> dict[str, int]:
    """The highest level of each feature that the broker supports."""
    reader, writer = await asyncio.open_connection(
        host, port, ssl=security_of(bootstrap_servers).context()
    )
    try:
        client = b"\x07endcap" + b"\x02" + b"1"  # compact strings: length + 1, then the bytes
        head = struct.pack(">hhih6s", _API_VERSIONS, _VERSION, _CORRELATION, 6, b"endcap")
        request = head + b"\x00" + client + b"\x00"  # each part ends with its (no) tagged fields
        writer.write(struct.pack(">i", len(request)) + request)
        await writer.drain()
        (size,) = struct.unpack(">i", await reader.readexactly(4))
        return _features_of(BytesIO(await reader.readexactly(size)))
    finally:
        writer.close()


def _features_of(answer: BytesIO) -> dict[str, int]:
    answer.read(4 + 2)  # correlation id, error code
    for _ in range(_varint(answer) - 1):
        answer.read(6)  # api key, lowest and highest version
        _skip_tags(answer)
    answer.read(4)  # throttle time
    for _ in range(_varint(answer)):
        tag, size = _varint(answer), _varint(answer)
        field = BytesIO(answer.read(size))
        if tag == _SUPPORTED_FEATURES:
            return dict(_feature(field) for _ in range(_varint(field) - 1))
    return {}


def _feature(field: BytesIO) -> tuple[str, int]:
    name = field.read(_varint(field) - 1).decode()
    _lowest, highest = struct.unpack(">hh", field.read(4))
    _skip_tags(field)
    return name, highest


def _skip_tags(answer: BytesIO) -> None:
    for _ in range(_varint(answer)):
        _varint(answer)
        answer.read(_varint(answer))


def _varint(answer: BytesIO) -> int:
    value, shift = 0, 0
    while True:
        byte = answer.read(1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7
