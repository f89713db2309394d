"""The users of docs/redis.md, as an operator would type them."""

import shlex
from pathlib import Path

import redis
from redis.exceptions import NoPermissionError

DOCS = Path(__file__).parents[2] / "docs"
READER, WRITER = "endcap-reader", "endcap-writer"
PASSWORD = "change-me"  # noqa: S105
WRITES = (
    ("SET", "{key}", "x"),
    ("SETEX", "{key}", "1", "x"),
    ("APPEND", "{key}", "x"),
    ("DEL", "{key}"),
    ("UNLINK", "{key}"),
    ("EXPIRE", "{key}", "1"),
    ("GETDEL", "{key}"),
    ("GETEX", "{key}", "EX", "1"),
    ("RENAME", "{key}", "{key}"),
    ("HSET", "{key}", "title", "x"),
    ("HDEL", "{key}", "title"),
    ("EVAL", "return redis.call('SET', KEYS[1], 'x')", "1", "{key}"),
    ("FLUSHALL",),
    ("CONFIG", "SET", "maxmemory", "1"),
    ("ACL", "SETUSER", READER, "+@all"),
    ("KEYS", "*"),
)


def make_users(url: str) -> None:
    """Both, by the lines of docs/redis.md."""
    lines = (DOCS / "redis.md").read_text().splitlines()
    commands = [line for line in lines if line.startswith("ACL SETUSER ")]
    assert [shlex.split(command)[2] for command in commands] == [READER, WRITER]
    with redis.Redis.from_url(url) as client:
        for command in commands:
            client.execute_command(*shlex.split(command))


def as_user(url: str, name: str) -> str:
    """The same server, for this user."""
    return url.replace("redis://", f"redis://{name}:{PASSWORD}@")


def refused(client: redis.Redis, key: str) -> list[str]:
    """Which of `WRITES` the server did not let this user do."""
    names = []
    for command in WRITES:
        try:
            client.execute_command(*(word.replace("{key}", key) for word in command))
        except NoPermissionError:
            names.append(command[0])
    return names
