"""A shop's own agent: how often each item was looked at, since the beginning."""

from typing import Any

from endcap.streams.item_deltas import decode_deltas
from endcap.topics import Topics


def register(app: Any, topics: Topics) -> None:
    """Add the agent. Called once, before the app starts."""
    raw = {
        "key_type": bytes,
        "value_type": bytes,
        "key_serializer": "raw",
        "value_serializer": "raw",
    }
    deltas = app.topic(topics.item_deltas.name, **raw)
    views = app.topic(f"{topics.item_deltas.name}-views", partitions=1, **raw)
    # A count and what is in it, in one value: Faust may deliver a record twice.
    counts = app.Table("ourshop-views", partitions=1)

    @app.agent(deltas, name="ourshop-views")
    async def count(stream: Any) -> None:
        await views.maybe_declare()  # Faust creates what it reads, not what it writes
        async for value in stream:
            for delta in decode_deltas(value):
                if delta.kind != "view":
                    continue
                for item_id in delta.item_ids:
                    row = counts.get(item_id) or {"views": 0, "offsets": {}}
                    partition = str(delta.source_partition)
                    if delta.source_offset <= row["offsets"].get(partition, -1):
                        continue
                    offsets = row["offsets"] | {partition: delta.source_offset}
                    counts[item_id] = {"views": row["views"] + 1, "offsets": offsets}
                    await views.send(key=item_id.encode(), value=str(row["views"] + 1).encode())
