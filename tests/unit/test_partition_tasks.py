"""A partition's task goes on until somebody ends it."""

import asyncio

import pytest

from endcap.streams.partition_tasks import PartitionTask, PartitionTasks

HEARTBEAT_MS = 1


async def test_a_cancellation_that_a_client_lets_out_does_not_end_the_task() -> None:
    """aiokafka's stop() does, where a connection breaks: the partition would be nobody's."""
    held = asyncio.Event()
    times = 0

    async def hold(task: PartitionTask) -> None:
        nonlocal times
        times += 1
        if times == 1:
            raise asyncio.CancelledError
        held.set()
        await task.released.wait()

    tasks = PartitionTasks(asyncio.Event())
    tasks.start(PartitionTask("partition 0", HEARTBEAT_MS, hold))
    await asyncio.wait_for(held.wait(), 30)
    assert await tasks.release() == []
    assert times == 2


async def test_a_task_that_is_cancelled_ends() -> None:
    begun = asyncio.Event()

    async def hold(_task: PartitionTask) -> None:
        begun.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(PartitionTask("partition 0", HEARTBEAT_MS, hold).run())
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
