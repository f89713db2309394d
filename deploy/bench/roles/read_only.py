"""The floor of any worker in Python: aiokafka's getmany and the decoding of each event."""

import asyncio
import json
import sys

import msgspec

from endcap.deploy.bench.roles.clock import Clock, assigned_consumer
from endcap.events import Event
from endcap.streams.session_worker import MAX_BATCH


async def read(bootstrap: str, topic: str, group: str, events: int) -> dict[str, float]:
    """Read as a member of a group, as the session worker does."""
    decoder = msgspec.json.Decoder(Event)
    consumer = await assigned_consumer(bootstrap, topic, group)
    clock, done = Clock(), 0
    while done < events:
        for records in (await consumer.getmany(timeout_ms=200, max_records=MAX_BATCH)).values():
            for record in records:
                decoder.decode(record.value)
            done += len(records)
    found = clock.stop(done)
    await consumer.stop()
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(read(**json.loads(sys.argv[1])))))
