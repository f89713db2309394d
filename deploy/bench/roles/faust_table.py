"""Faust as one would write the same: an agent, a Table, the last 50 items of each shopper."""

import asyncio
import json
import sys
from typing import Any

import faust

from endcap.deploy.bench.roles.clock import Clock


async def work(
    bootstrap: str, topic: str, group: str, events: int, partitions: int, folder: str
) -> dict[str, float]:
    """Handle `events` events, from the first one on."""
    app = faust.App(
        group,
        broker=f"kafka://{bootstrap}",
        store="memory://",
        datadir=folder,
        topic_partitions=partitions,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
    )
    source = app.topic(topic, value_serializer="json", key_serializer="raw", key_type=bytes)
    sessions = app.Table("sessions", default=list, partitions=partitions)
    finished: asyncio.Future[dict[str, float]] = asyncio.get_running_loop().create_future()
    clock: Clock | None = None
    handled = 0

    @app.agent(source)  # type: ignore[untyped-decorator]
    async def fold(stream: Any) -> None:
        nonlocal clock, handled
        async for event in stream:
            clock = clock or Clock()
            user_id = event["user_id"]
            past = sessions[user_id]
            touched = [
                [i["item_id"], event["event_name"], event["timestamp_ms"]] for i in event["items"]
            ]
            sessions[user_id] = (past + touched)[-50:]
            handled += 1
            if handled == events:
                finished.set_result(clock.stop(handled))

    app.finalize()
    running = asyncio.ensure_future(app.start())
    found = await finished
    await app.stop()
    running.cancel()
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(work(**json.loads(sys.argv[1])))))
