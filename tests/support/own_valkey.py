"""A Valkey of one test's own, that it may stop and start again."""

from pathlib import Path
from uuid import uuid4

import redis

from endcap.deploy.local_stack.ports import free_ports
from endcap.deploy.local_stack.supervised import Child
from endcap.deploy.local_stack.valkey import start_valkey


class OwnValkey:
    """It runs until `stop`; `start` brings it back on the same port, with nothing in it."""

    def __init__(self, folder: Path, *flags: str) -> None:
        (self.port,) = free_ports(1)
        self._folder = folder
        self._flags = flags
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._child = self._started()

    @property
    def pid(self) -> int:
        """Of the server."""
        return self._child.pid

    def start(self) -> None:
        self._child = self._started()

    def stop(self) -> None:
        self._child.stop()

    def pause(self) -> None:
        self._child.pause()

    def resume(self) -> None:
        self._child.resume()

    def calls(self) -> dict[str, int]:
        """How often each command was called, by its name."""
        with redis.Redis.from_url(self.url) as client:
            stats = client.info("commandstats")
        return {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}

    def reset_calls(self) -> None:
        """Count them anew."""
        with redis.Redis.from_url(self.url) as client:
            client.config_resetstat()

    def _started(self) -> Child:
        folder = self._folder / uuid4().hex
        folder.mkdir()
        return start_valkey(self.port, folder, self._flags)
