"""Exceptions of redis-py as ours: the one place where they are known."""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    ConnectionError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from endcap.client.errors import (
    ClientError,
    ListsUnavailableError,
    ReadRefusedError,
    UnreadableValueError,
)
from endcap.client.options import Options

FOREIGN = (RedisError, RedisClusterException, OSError)
"""What redis-py raises."""
_REFUSED = (AuthenticationError, AuthorizationError, NoPermissionError)
_AWAY = (
    ConnectionError,
    TimeoutError,
    RedisClusterException,
    ClusterDownError,
    AskError,
    TryAgainError,
    OSError,
)
_NOT_YET = ("LOADING", "MASTERDOWN", "CLUSTERDOWN")


def as_ours(error: BaseException, where: str) -> ClientError:
    """The same, in our words. `where`: the server, without a password."""
    if isinstance(error, ClientError):
        return error
    if isinstance(error, RedisClusterException) and isinstance(error.__cause__, _REFUSED):
        error = error.__cause__  # none of the nodes let this user in
    said = str(error)
    if isinstance(error, _REFUSED):
        return ReadRefusedError(
            f"Redis at {where} does not let this user read ({said}). Check user and password in "
            "the URL, and the ACL of a reader in docs/redis.md."
        )
    if isinstance(error, _AWAY) or said.startswith(_NOT_YET):
        return ListsUnavailableError(
            f"Redis at {where} did not answer ({type(error).__name__}). Check the address and that "
            "it runs; timeout_s, tries and deadline_s say how long to wait."
        )
    if isinstance(error, ResponseError) and said.startswith("WRONGTYPE"):
        return UnreadableValueError(
            f"A key of the contract at {where} holds another type ({said}). Only endcap may write "
            "there: see docs/redis.md."
        )
    if isinstance(error, ResponseError):
        return ReadRefusedError(
            f"Redis at {where} refused a read: {said}. It has to be Redis 6.2 or later, or Valkey."
        )
    return ListsUnavailableError(
        f"Redis at {where} gave an answer that makes no sense ({type(error).__name__}: {said}). "
        "Check that it is a Redis that answers there."
    )


def ours(answers: Sequence[Any], where: str) -> list[Any]:
    """Answers, an exception among them in our words."""
    return [as_ours(each, where) if isinstance(each, Exception) else each for each in answers]


def all_in_use(where: str, options: Options) -> ListsUnavailableError:
    """Nobody gave a connection back in time."""
    return ListsUnavailableError(
        f"All {options.max_connections} connections to {where} are in use. Raise max_connections."
    )


def still_opening(where: str) -> ListsUnavailableError:
    """Another reader meets the nodes of a cluster, and is not done in time."""
    return ListsUnavailableError(
        f"The cluster at {where} did not answer yet. Check the addresses and that it runs; "
        "timeout_s, tries and deadline_s say how long to wait."
    )


def without_password(url: str) -> str:
    """Host, port and database of a URL.

    >>> without_password("redis://reader:secret@store:6379/0?protocol=3")
    'store:6379/0'
    """
    return url.split("://", 1)[-1].rsplit("@", 1)[-1].split("?", 1)[0]
