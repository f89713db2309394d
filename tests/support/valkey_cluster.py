"""A Redis Cluster of three Valkey servers, without replicas."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import redis
from own_valkey import OwnValkey
from redis_users import make_users

from endcap.deploy.local_stack.ports import free_ports

_SLOTS = ((0, 5460), (5461, 10922), (10923, 16383))
_TIMEOUT_S = 30


class ValkeyCluster:
    """It runs until `stop`. A node that is paused or stopped takes its third of the keys with it:
    the others go on (`cluster-require-full-coverage no`)."""

    def __init__(self, folder: Path) -> None:
        self.nodes: list[OwnValkey] = []
        try:
            buses = free_ports(len(_SLOTS))
            for bus in buses:
                # A node that is started again knows nothing: only a paused one comes back.
                self.nodes.append(
                    OwnValkey(
                        folder,
                        *("--cluster-enabled", "yes", "--cluster-port", str(bus)),
                        *("--cluster-require-full-coverage", "no"),
                        *("--cluster-node-timeout", "60000"),
                    )
                )
            self._join(buses)
        except BaseException:
            self.stop()
            raise

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    def node_of(self, key: str) -> OwnValkey:
        """The one that holds this key."""
        with redis.Redis.from_url(self.urls[0]) as client:
            slot = client.cluster("KEYSLOT", key)
        (number,) = [n for n, (first, last) in enumerate(_SLOTS) if first <= slot <= last]
        return self.nodes[number]

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def _join(self, buses: Sequence[int]) -> None:
        with contextlib.ExitStack() as open_clients:
            clients = [open_clients.enter_context(redis.Redis.from_url(url)) for url in self.urls]
            for number, (client, slots) in enumerate(zip(clients, _SLOTS, strict=True)):
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", *slots)
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            for node, bus in list(zip(self.nodes, buses, strict=True))[1:]:
                clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
            deadline = time.monotonic() + _TIMEOUT_S
            while not all(_sees_all(client) for client in clients):
                assert time.monotonic() < deadline, "the nodes did not meet"


@contextlib.contextmanager
def cluster_with_users(folder: Path) -> Iterator[ValkeyCluster]:
    """One that runs, with the users of docs/redis.md."""
    running = ValkeyCluster(folder)
    try:
        for url in running.urls:
            make_users(url)
        yield running
    finally:
        running.stop()


def _sees_all(client: redis.Redis) -> bool:
    info = client.cluster("INFO")
    return info["cluster_state"] == "ok" and info["cluster_slots_ok"] == "16384"
