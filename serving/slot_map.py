"""Which server of a Redis Cluster holds a key; of one server alone: that one, always."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from redis.crc import key_slot

_LAST_SLOT = 16_383
ASK_SLOTS = ("CLUSTER", "SLOTS")


class _Range(NamedTuple):
    first: int
    last: int
    node: str


class SlotMap:
    """Slots by the URLs of the primaries that hold them."""

    def __init__(self, ranges: Sequence[tuple[int, int, str]] = ()) -> None:
        """`ranges`: the first and the last slot of each, both included, and a URL."""
        self._ranges = sorted(_Range(*each) for each in ranges)
        self._firsts = [each.first for each in self._ranges]
        self.nodes = frozenset(each.node for each in self._ranges)

    def node_of(self, key: bytes) -> str:
        """The URL of the server that holds it; empty where nobody does.

        >>> halves = SlotMap([(0, 8000, "redis://a"), (8001, 16383, "redis://b")])
        >>> halves.node_of(b"endcap:trending"), SlotMap().node_of(b"k")
        ('redis://a', '')
        """
        slot = key_slot(key)
        at = bisect_right(self._firsts, slot) - 1
        return self._ranges[at].node if at >= 0 and slot <= self._ranges[at].last else ""


def one_server(url: str) -> SlotMap:
    """All keys lie there."""
    return SlotMap([(0, _LAST_SLOT, url)])


def slots_of(answer: Sequence[Any], asked: str) -> SlotMap:
    """From the answer to `ASK_SLOTS` of the node with the URL `asked`.

    A node that does not know its own name is the one that was asked.
    """
    ranges = []
    for first, last, primary, *_replicas in answer:
        host, port = primary[0], primary[1]
        known = host.decode() if isinstance(host, bytes) else host
        ranges.append((first, last, _at(asked, known if known not in ("", "?") else None, port)))
    return SlotMap(ranges)


def node_url(url: str) -> str:
    """A cluster's URL as that of the node which it names.

    >>> node_url("redis://ann:pw@node-1:6379/0?cluster=true&health_check_interval=1")
    'redis://ann:pw@node-1:6379?health_check_interval=1'
    """
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "cluster"]
    return urlunsplit(parts._replace(path="", query=urlencode(query)))


def beside(url: str, at: str) -> str:
    """Another node of the same cluster, as a redirection names it (`host:port`).

    >>> beside("redis://ann:pw@node-1:6379", "10.0.0.2:6380")
    'redis://ann:pw@10.0.0.2:6380'
    """
    host, _, port = at.rpartition(":")
    return _at(url, host or None, int(port))


def _at(url: str, host: str | None, port: int) -> str:
    parts = urlsplit(url)
    who, at, _ = parts.netloc.rpartition("@")
    name = host or parts.hostname or "localhost"
    shown = f"[{name}]" if ":" in name else name
    return urlunsplit(parts._replace(netloc=f"{who}{at}{shown}:{port}"))
