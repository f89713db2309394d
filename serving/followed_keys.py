"""Keys in Redis whose values are heard of when they change: on one server, or on a cluster.

Each server that holds such keys has a connection of its own, on which they are read: it tells of
a change once, then the key is read again, and is tracked anew. Of a cluster the map of slots is
looked at every few seconds, when a connection was lost, and when a key is said to lie elsewhere.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence

import hiredis
from prometheus_client import Counter

from endcap.serving.cluster_reads import is_cluster
from endcap.serving.slot_map import ASK_SLOTS, SlotMap, node_url, one_server, slots_of
from endcap.serving.tracking import TrackingConnection, open_tracking

log = logging.getLogger(__name__)

PING_S = 5.0
"""So long a connection that died without a word may go unnoticed, and a slot that has moved."""
_FIRST_RETRY_S, _LAST_RETRY_S = 0.05, 2.0
_ELSEWHERE = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN")
_NOBODY = ""
"""In place of a server, where none is known to hold a key."""
_AWAY = (OSError, hiredis.ReplyError)

RECONNECTS = Counter(
    "endcap_list_tracking_reconnects_total", "Attempts to track lists in Redis again after a loss"
)


class FollowedKeys:
    """Calls `heard` with a key and its value, first of all with what there is, and `live_changed`
    when a server was lost or is back. `run()` works until it is cancelled."""

    def __init__(
        self,
        url: str,
        heard: Callable[[bytes, bytes | None], None],
        live_changed: Callable[[], None],
    ) -> None:
        """`url`: of one server, or with `?cluster=true` of a node of a Redis Cluster."""
        self._is_cluster = is_cluster(url)
        self._url = node_url(url) if self._is_cluster else url
        self._slots = SlotMap() if self._is_cluster else one_server(url)
        self._heard = heard
        self._live_changed = live_changed
        self._keys = set[bytes]()
        self._elsewhere = set[bytes]()
        """Those that the server which the map names for them did not have."""
        self._connections: dict[str, TrackingConnection] = {}
        self._away = set[str]()
        self._look_again = asyncio.Event()
        self._reading: set[asyncio.Task[None]] = set()

    def follow(self, key: bytes) -> None:
        """Hear of this one too."""
        self._keys.add(key)
        self._read([key])

    def forget(self, key: bytes) -> None:
        """It is not read again."""
        self._keys.discard(key)

    def is_live(self, key: bytes) -> bool:
        """Whether a change would be heard of; it counts as heard until the first attempt fails."""
        return self._slots.node_of(key) not in self._away

    async def run(self) -> None:
        """Hold the connections, and bring one back, with all its keys, when it was lost."""
        if not self._is_cluster:
            await self._follow_node(self._url)
        following: dict[str, asyncio.Task[None]] = {}
        retry_s = _FIRST_RETRY_S
        async with asyncio.TaskGroup() as running:
            while True:
                self._look_again.clear()
                try:
                    slots = await self._asked_slots()
                except _AWAY as error:
                    self._lost(_NOBODY, error)
                    self._look_again.set()
                else:
                    for node in following.keys() - slots.nodes:
                        following.pop(node).cancel()
                    for node in slots.nodes - following.keys():
                        following[node] = running.create_task(self._follow_node(node))
                    self._take(slots)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._look_again.wait(), PING_S)
                    await asyncio.sleep(retry_s)
                    retry_s = min(2 * retry_s, _LAST_RETRY_S)
                    continue
                retry_s = _FIRST_RETRY_S

    async def _asked_slots(self) -> SlotMap:
        """Of whoever is connected, else of the first node that answers."""
        for node, connection in list(self._connections.items()):
            with contextlib.suppress(*_AWAY):
                return slots_of(await connection.ask(*ASK_SLOTS), node)
        why: Exception = ConnectionError("no node")
        for node in (self._url, *self._slots.nodes - {self._url}):
            try:
                asked = await open_tracking(node, lambda _: None)
            except _AWAY as error:
                why = error
                continue
            try:
                return slots_of(await asked.ask(*ASK_SLOTS), node)
            except _AWAY as error:
                why = error
            finally:
                asked.hang_up()
        raise why

    def _take(self, slots: SlotMap) -> None:
        """Read what lies elsewhere than was thought."""
        before, self._slots = self._slots, slots
        moved = {key for key in self._keys if slots.node_of(key) != before.node_of(key)}
        if all(map(slots.node_of, self._keys)):
            self._away &= slots.nodes
        else:
            self._away &= slots.nodes | {_NOBODY}
            self._lost(_NOBODY, ConnectionError("slots without a server"))
        self._live_changed()
        moved |= self._elsewhere
        self._elsewhere = set()
        self._read(moved)

    async def _follow_node(self, node: str) -> None:
        retry_s = _FIRST_RETRY_S
        now = asyncio.get_running_loop().time
        while True:
            started_s = now()
            try:
                await self._until_lost(node, await open_tracking(node, self._changed))
            except _AWAY as error:
                self._lost(node, error)
            if now() - started_s > PING_S:
                retry_s = _FIRST_RETRY_S
            self._look_again.set()  # another server may have its keys by now
            RECONNECTS.inc()
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, _LAST_RETRY_S)

    async def _until_lost(self, node: str, connection: TrackingConnection) -> None:
        try:
            self._connections[node] = connection
            if node in self._away:
                self._away.discard(node)
                self._live_changed()
                log.warning("Redis answers again: lists are followed.")
            self._read(key for key in self._keys if self._slots.node_of(key) == node)
            while True:
                await connection.ask("PING")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(connection.lost.wait(), PING_S)
        finally:
            self._connections.pop(node, None)
            connection.hang_up()

    def _lost(self, node: str, error: Exception) -> None:
        if node in self._away:
            return
        self._away.add(node)
        log.warning(
            "Lists in Redis are not followed (%s). It is tried again; it needs Redis 6 or later, "
            "and a user who may HELLO and CLIENT TRACKING, on a cluster also CLUSTER SLOTS.",
            error,
        )
        self._live_changed()

    def _changed(self, keys: Sequence[bytes] | None) -> None:
        self._read(self._keys if keys is None else keys)

    def _read(self, keys: Iterable[bytes]) -> None:
        by_node: dict[str, list[bytes]] = {}
        for key in keys:
            if key in self._keys:
                by_node.setdefault(self._slots.node_of(key), []).append(key)
        for node, held in by_node.items():
            if node in self._connections:
                reading = asyncio.create_task(self._read_with(self._connections[node], held))
                self._reading.add(reading)
                reading.add_done_callback(self._reading.discard)

    async def _read_with(self, connection: TrackingConnection, keys: Sequence[bytes]) -> None:
        # One question a key, in one packet: a key that has moved spoils no other's answer.
        asked = [connection.ask("GET", key) for key in keys]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for key, found in zip(keys, answers, strict=True):
            if not isinstance(found, BaseException):
                self._heard(key, found)
            elif self._is_cluster and str(found).startswith(_ELSEWHERE):
                self._elsewhere.add(key)
                self._look_again.set()
            else:
                connection.hang_up()  # whoever follows it begins anew, with all keys
