"""Rights on a broker, as `kafka-acls.sh` would give them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka.protocol.admin import CreateAclsRequest

from endcap.deploy.kafka_rights import Right

_RESOURCES = {"topic": 2, "group": 3, "cluster": 4, "transactional-id": 5}
_PATTERNS = {"literal": 3, "prefixed": 4}
_OPERATIONS = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Delete": 6,
    "Alter": 7,
    "Describe": 8,
    "AlterConfigs": 11,
    "DescribeConfigs": 10,
    "IdempotentWrite": 12,
}
_ALLOW = 3


class Allowed(NamedTuple):
    """What a user may do."""

    user: str
    right: Right


async def allow(admin: Any, rights: Sequence[Allowed]) -> None:
    """Returns when the broker has them all."""
    for user, right in rights:
        for operation in right.operations:
            request = CreateAclsRequest(
                _RESOURCES[right.resource],
                right.name,
                _PATTERNS[right.pattern],
                f"User:{user}",
                "*",
                _OPERATIONS[operation],
                _ALLOW,
            )
            answered = await admin._send_to_controller(request)
            assert [code for code, _ in answered.creation_responses] == [0], answered
