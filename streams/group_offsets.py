"""A group's committed offsets, from the broker that knows them and from no other."""

from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    NoError,
    NotCoordinatorForGroupError,
    for_code,
)

_ELSEWHERE = (NotCoordinatorForGroupError, GroupCoordinatorNotAvailableError)


def refuse_answers_of_others(consumer: AIOKafkaConsumer) -> None:
    """Let a started consumer of a group look for its coordinator anew when that has moved.

    From version 2 on OffsetFetch carries its error beside an empty list of partitions. aiokafka
    0.14 reads the list alone: a broker that is not the coordinator any more, or is still loading
    the group, is understood as "nothing is committed", and the group begins at its start. Raised
    where the answer arrives, the error is one that aiokafka itself tries again after.
    """
    coordinator: Any = consumer._coordinator
    send = coordinator._send_req

    async def checked(request: Any) -> Any:
        response = await send(request)
        # Of the other answers to a group those with a code are looked at by aiokafka itself.
        if type(response).__name__.startswith("OffsetFetchResponse"):
            error = for_code(getattr(response, "error_code", NoError.errno))
            if error is not NoError:
                if error in _ELSEWHERE:
                    coordinator.coordinator_dead()
                raise error()
        return response

    coordinator._send_req = checked
