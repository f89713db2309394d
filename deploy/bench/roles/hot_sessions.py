"""What a session kept hot costs in memory: many of them in a process that holds nothing else."""

import gc
import json
import os

import psutil

from endcap.deploy.bench.recovery import encoded_session

SESSIONS = 50_000


def measure() -> dict[str, int]:
    """Resident bytes a session, in the dictionary that the worker would keep it in."""
    process = psutil.Process(os.getpid())
    hot: dict[str, bytes] = {}
    gc.collect()
    before = process.memory_info().rss
    for number in range(SESSIONS):
        hot[f"shopper-{number}"] = encoded_session(number)
    gc.collect()
    grown = process.memory_info().rss - before
    return {"bytes_per_session": round(grown / len(hot)), "sessions": len(hot)}


if __name__ == "__main__":
    print(json.dumps(measure()))
