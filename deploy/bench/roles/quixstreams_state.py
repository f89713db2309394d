"""Quix Streams as one would write the same, in an environment of its own, without endcap."""

import json
import sys
import time
from typing import Any

from quixstreams import Application, State


def work(bootstrap: str, topic: str, group: str, events: int, folder: str) -> dict[str, float]:
    """Handle `events` events with state by shopper, from the first one on."""
    app = Application(
        broker_address=bootstrap,
        consumer_group=group,
        auto_offset_reset="earliest",
        state_dir=folder,
        loglevel="ERROR",
    )
    started: list[tuple[float, float]] = []

    def fold(event: dict[str, Any], state: State) -> list[list[Any]]:
        if not started:
            started.append((time.perf_counter(), time.process_time()))
        touched = [
            [i["item_id"], event["event_name"], event["timestamp_ms"]] for i in event["items"]
        ]
        session: list[list[Any]] = (state.get("session", []) + touched)[-50:]
        state.set("session", session)
        return session

    frame = app.dataframe(app.topic(topic, value_deserializer="json"))
    frame = frame.apply(fold, stateful=True)
    frame.to_topic(app.topic(f"{group}-sessions", value_serializer="json"))
    app.run(count=events)
    wall, cpu = started[0]
    return {
        "events": events,
        "seconds": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
    }


if __name__ == "__main__":
    print(json.dumps(work(**json.loads(sys.argv[1]))))
