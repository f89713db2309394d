"""Many readers on one connection, whatever form the URL has, and when the server stands still."""

import asyncio
from pathlib import Path

import pytest
import redis
from own_valkey import OwnValkey

from endcap.errors import StoreUnavailableError
from endcap.serving.shared_reads import SharedReads

pytestmark = pytest.mark.integration


async def test_readers_share_a_connection_and_each_gets_their_own(tmp_path: Path) -> None:
    valkey = OwnValkey(tmp_path)
    reads = SharedReads(valkey.url)
    try:
        with redis.Redis.from_url(valkey.url) as client:
            client.mset({f"k{n}": f"v{n}" for n in range(100)})
            asked = [reads.ask("GET", f"k{n}") for n in range(101)]
            found = await asyncio.gather(*asked)
            assert found == [*(f"v{n}".encode() for n in range(100)), None]
            assert len(client.client_list()) == 2
    finally:
        reads.close()
        valkey.stop()


async def test_who_gives_up_does_not_shift_the_answers_of_others(tmp_path: Path) -> None:
    valkey = OwnValkey(tmp_path)
    reads = SharedReads(valkey.url)
    try:
        with redis.Redis.from_url(valkey.url) as client:
            client.mset({"a": "1", "b": "2"})
        await reads.ask("PING")
        gone = asyncio.create_task(reads.ask("GET", "a"))
        stays = asyncio.create_task(reads.ask_all([("GET", "b"), ("GET", "a")]))
        await asyncio.wait({gone}, timeout=0)
        gone.cancel()
        assert await stays == [b"2", b"1"]
        with pytest.raises(Exception, match="wrong number"):
            await reads.ask("GET")
        assert await reads.ask("GET", "b") == b"2"
    finally:
        reads.close()
        valkey.stop()


async def test_a_password_a_database_and_a_unix_socket_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "s"
    valkey = OwnValkey(tmp_path, "--unixsocket", str(path))
    by_socket = f"unix://{path}?db=3"
    with redis.Redis.from_url(by_socket) as client:
        client.set("k", "v")
        client.config_set("requirepass", "pa55 word")
    urls = [
        valkey.url.replace("redis://", "redis://:pa55%20word@").replace("/0", "/3"),
        f"unix://:pa55%20word@{path}?db=3",
    ]
    try:
        for url in urls:
            reads = SharedReads(url)
            assert await reads.ask("GET", "k") == b"v"
            reads.close()
        wrong = SharedReads(urls[0].replace("pa55", "wr0ng"))
        with pytest.raises(StoreUnavailableError) as refused:
            await wrong.ask("GET", "k")
        assert "wr0ng" not in str(refused.value)
    finally:
        valkey.stop()


async def test_a_server_that_stands_still_is_given_up_and_asked_again_later(tmp_path: Path) -> None:
    valkey = OwnValkey(tmp_path)
    reads = SharedReads(valkey.url)
    try:
        assert await reads.ask("PING") == b"PONG"
        valkey.pause()
        with pytest.raises(StoreUnavailableError, match="TimeoutError"):
            await reads.ask("PING")
        with pytest.raises(StoreUnavailableError, match="ConnectionRefusedError"):
            await reads.ask("PING")  # nobody waits in vain again
        valkey.resume()
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await reads.ask("PING") == b"PONG"
                    break
                except StoreUnavailableError:
                    await asyncio.sleep(0.05)
    finally:
        reads.close()
        valkey.stop()


async def test_who_is_called_gets_the_answer_and_a_mistake_of_theirs_is_nobody_elses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    valkey = OwnValkey(tmp_path)
    reads = SharedReads(valkey.url)
    heard: list[object] = []

    def fail(_reply: object) -> None:
        raise ValueError("a mistake")

    try:
        assert not reads.tell(heard.append, "PING")  # nobody has connected yet
        assert await reads.ask("PING") == b"PONG"
        assert reads.tell(fail, "PING")
        assert reads.tell(heard.append, "GET", "nothing")
        assert reads.tell(heard.append, "GET")
        assert await reads.ask("ECHO", "on") == b"on"
        assert heard[0] is None
        assert "wrong number" in str(heard[1])
        assert "could not be taken" in caplog.text
        valkey.pause()
        late = asyncio.get_running_loop().create_future()
        assert reads.tell(late.set_result, "PING")
        async with asyncio.timeout(5):
            assert isinstance(await late, TimeoutError)
        with pytest.raises(StoreUnavailableError, match="ConnectionRefusedError"):
            await reads.ask("PING")  # nobody waits in vain again
        assert not reads.tell(heard.append, "PING")
    finally:
        valkey.resume()
        reads.close()
        valkey.stop()


async def test_nothing_asked_is_answered_with_nothing() -> None:
    assert await SharedReads("redis://127.0.0.1:1/0").ask_all([]) == []
