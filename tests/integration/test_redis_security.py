"""A real Valkey with users, behind TLS: the writer writes, the reader does not, others are told."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from authorities import Authority
from own_valkey import OwnValkey
from redis_users import PASSWORD, READER, WRITER, make_users
from tls_front import tls_front

from endcap.errors import StoreRefusedError
from endcap.lists import ListItem, RecommendationList
from endcap.serving.redis_store import RedisStore

READY = RecommendationList(1, "m", 1, (ListItem("apple", 1.0, "you like apples"),))


class Secured(NamedTuple):
    port: int
    ca: Path

    def url(self, user: str, password: str = PASSWORD, ca: Path | None = None) -> str:
        return f"rediss://{user}:{password}@127.0.0.1:{self.port}/0?ssl_ca_certs={ca or self.ca}"


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnValkey]:
    running = OwnValkey(tmp_path_factory.mktemp("valkey"))
    make_users(running.url)
    yield running
    running.stop()


@pytest.fixture
async def secured(valkey: OwnValkey, tmp_path: Path) -> AsyncIterator[Secured]:
    authority = Authority(tmp_path)
    async with tls_front(valkey.port, authority.server) as port:
        yield Secured(port, authority.ca)


async def test_the_writer_writes_and_a_page_reads_over_tls(secured: Secured) -> None:
    store = RedisStore(secured.url(WRITER))
    try:
        assert await store.write_lists({"ann": READY}) == 1
        assert await store.read("ann") == READY
    finally:
        await store.close()


async def test_the_reader_reads_and_may_not_write(secured: Secured) -> None:
    writer, reader = RedisStore(secured.url(WRITER)), RedisStore(secured.url(READER))
    try:
        await writer.write_lists({"ben": READY})
        assert await reader.read("ben") == READY
        with pytest.raises(StoreRefusedError, match=r"not let this user.*endcap-writer"):
            await reader.write_lists({"ann": READY})
        with pytest.raises(StoreRefusedError):
            await reader.delete_lists(["ann"])
    finally:
        await writer.close()
        await reader.close()


async def test_a_wrong_password_is_named_and_not_shown(secured: Secured) -> None:
    store = RedisStore(secured.url(WRITER, "not-this-one"))
    try:
        for tried in (store.read("ann"), store.write_trending(READY)):
            with pytest.raises(StoreRefusedError, match="refuses the user or the password") as said:
                await tried
            assert "not-this-one" not in str(said.value)
    finally:
        await store.close()


async def test_a_certificate_of_another_authority_is_named(
    secured: Secured, tmp_path: Path
) -> None:
    store = RedisStore(secured.url(WRITER, ca=Authority(tmp_path / "stranger").ca))
    try:
        for tried in (store.read("ann"), store.write_trending(READY)):
            with pytest.raises(StoreRefusedError, match=r"not to be trusted.*ssl_ca_certs"):
                await tried
    finally:
        await store.close()
