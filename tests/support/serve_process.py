"""`endcap serve` in a process of its own, as an operator would run it."""

import os
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from command_line import ENDCAP

from endcap.deploy.local_stack.ports import free_ports, is_open
from endcap.deploy.local_stack.supervised import Child


class ServeProcess:
    """It answers, on `port`, until `child` is stopped."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"serve-{uuid4().hex[:8]}.log"
        self.child = Child(
            "endcap serve",
            [*ENDCAP, "serve", "--http-port", str(self.port)],
            self.log,
            {**os.environ, "ENDCAP_DATA_DIR": str(folder), **settings},
        )
        self.child.once(lambda: is_open(self.port), 90)
