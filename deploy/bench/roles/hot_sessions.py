"""What a decoded session costs in memory: many of them in a process that holds nothing else."""

import gc
import json
import os

import psutil

from endcap.deploy.bench.recovery import encoded_session
from endcap.timeline import Snapshot, decode_snapshot

SESSIONS = 50_000


def measure() -> dict[str, int]:
    """Resident bytes a session, in the dictionary that the worker would keep it in."""
    process = psutil.Process(os.getpid())
    hot: dict[str, Snapshot] = {}
    gc.collect()
    before = process.memory_info().rss
    for number in range(SESSIONS):
        snapshot = decode_snapshot(encoded_session(number))
        hot[snapshot.timeline.session_before.user_id] = snapshot
    gc.collect()
    grown = process.memory_info().rss - before
    return {"bytes_per_session": round(grown / len(hot)), "sessions": len(hot)}


if __name__ == "__main__":
    print(json.dumps(measure()))
