"""`endcap` as a person runs it: a process of its own, what it says and its exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from endcap.deploy.local_stack import LocalStack

ENDCAP = [sys.executable, "-m", "endcap.deploy.cli"]
Ended = subprocess.CompletedProcess[str]


def endcap(
    *words: object, cwd: Path | None = None, timeout_s: float = 170.0, **environment: str
) -> Ended:
    """How it ended; `environment` stands beside our own."""
    return subprocess.run(
        [*ENDCAP, *map(str, words)],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def endcap_json(*words: object, timeout_s: float = 170.0, **environment: str) -> Any:
    """The one object that it prints where all goes well."""
    ended = endcap(*words, timeout_s=timeout_s, **environment)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def settings_for(stack: LocalStack, prefix: str) -> dict[str, str]:
    """The environment of processes that work on the topics of this prefix."""
    return {
        "ENDCAP_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        "ENDCAP_REDIS_URL": stack.redis_url,
        "ENDCAP_TOPIC_PREFIX": prefix,
    }
