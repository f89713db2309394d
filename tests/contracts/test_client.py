"""What both clients promise, with and without `await`, on a real Valkey."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
import redis
from own_valkey import OwnValkey

from endcap.catalogue import CatalogueItem
from endcap.client import (
    Answer,
    AsyncClient,
    Client,
    ClientError,
    ListsUnavailableError,
    Observation,
    Options,
    ReadRefusedError,
    RequestError,
    UnreadableValueError,
)
from endcap.deploy.local_stack.ports import free_ports
from endcap.lists import ListItem, RecommendationList, Shelf
from endcap.serving.redis_store import RedisStore

pytestmark = pytest.mark.integration
MILK = CatalogueItem("milk", "Whole milk", "Dairy", "Grocery", 1.19)
TEA = CatalogueItem("tea", "Green tea", in_stock=False)


def a_list(*items: str) -> RecommendationList:
    return RecommendationList(7, "m", 5, tuple(ListItem(item, 0.5, "why") for item in items))


class Threads:
    """The sync client behind the async one's face: one suite for both."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def recommend(self, user: str | None = None, **more: object) -> Answer:
        return await asyncio.to_thread(self.client.recommend, user, **more)

    async def recommend_or_nothing(self, user: str | None = None, **more: object) -> Answer:
        return await asyncio.to_thread(self.client.recommend_or_nothing, user, **more)

    async def items(self, ids: Sequence[str]) -> dict[str, CatalogueItem]:
        return await asyncio.to_thread(self.client.items, ids)

    async def items_or_nothing(self, ids: Sequence[str]) -> dict[str, CatalogueItem]:
        return await asyncio.to_thread(self.client.items_or_nothing, ids)

    async def close(self) -> None:
        await asyncio.to_thread(self.client.close)


Either = Threads | AsyncClient
QUICK = {"timeout_s": 0.05, "backoff_s": 0.001, "deadline_s": 30.0}


def connected(kind: str, url: str, options: Options) -> Either:
    if kind == "async":
        return AsyncClient.connect(url, options)
    return Threads(Client.connect(url, options))


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnValkey]:
    own = OwnValkey(tmp_path_factory.mktemp("client"))
    yield own
    own.stop()


@pytest.fixture
async def shelves(valkey: OwnValkey) -> AsyncIterator[RedisStore]:
    """What the processes write; emptied for each test."""
    with redis.Redis.from_url(valkey.url) as raw:
        raw.flushall()
    store = RedisStore(valkey.url)
    await store.write_lists({"ann": a_list("own-1", "own-2"), "none-left": a_list()})
    await store.write_shelves(
        {
            Shelf("similar", "milk"): a_list("bread"),
            Shelf("category", "Dairy"): a_list("cheese"),
            Shelf("store", "12"): a_list("local"),
        }
    )
    await store.write_trending(a_list("tea", "milk"))
    await store.write_items([MILK, TEA])
    yield store
    await store.close()


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def seen() -> list[Observation]:
    return []


@pytest.fixture
async def shop(
    kind: str, valkey: OwnValkey, shelves: RedisStore, seen: list[Observation]
) -> AsyncIterator[Either]:
    client = connected(kind, valkey.url, Options(timeout_s=5, deadline_s=30, observe=seen.append))
    yield client
    await client.close()


def ids(answer: Answer) -> list[str]:
    return [item.id for item in answer.items]


async def test_the_first_list_of_the_chain_with_items_is_the_answer(shop: Either) -> None:
    whole = {"last_item": "milk", "category": "Dairy"}
    asked = [
        (await shop.recommend("ann", **whole), "own", ["own-1", "own-2"]),
        (await shop.recommend("bob", **whole), "similar", ["bread"]),
        (await shop.recommend("none-left", **whole), "similar", ["bread"]),
        (await shop.recommend("bob", last_item="?", category="Dairy"), "category", ["cheese"]),
        (await shop.recommend("bob", last_item="?", category="?"), "trending", ["tea", "milk"]),
        (await shop.recommend(None, category="Dairy"), "category", ["cheese"]),
        (await shop.recommend(), "trending", ["tea", "milk"]),
        (await shop.recommend("ann", size=1), "own", ["own-1"]),
        # The key of such a category would be a store's.
        (await shop.recommend(category="store:12"), "trending", ["tea", "milk"]),
    ]
    for answer, source, items in asked:
        assert (answer.source, ids(answer), answer.problem) == (source, items, "")
        assert (answer.version, answer.model, answer.generated_at) == (7, "m", 5)
        assert answer.items[0].reason == "why"


async def test_a_list_of_an_experiment_says_what_an_impression_must(
    shop: Either, shelves: RedisStore
) -> None:
    moved = ListItem("tea", 0.5, "why", propensity=0.05)
    ready = RecommendationList(8, "m", 5, (moved,), "summer=new-model")
    await shelves.write_lists({"ann": ready})
    answer = await shop.recommend("ann", last_item="milk")
    assert (answer.variant, answer.version, answer.model) == ("summer=new-model", 8, "m")
    assert answer.items == (moved,)
    other = await shop.recommend("bob")
    assert (other.variant, other.items[0].propensity) == ("", 1.0)


async def test_a_list_or_the_facts_of_a_page_cost_one_round_trip(
    shop: Either, valkey: OwnValkey, seen: list[Observation]
) -> None:
    await shop.recommend()  # it connects
    with redis.Redis.from_url(valkey.url) as raw:
        raw.config_resetstat()
        await shop.recommend("bob", last_item="milk", category="Dairy")
        await shop.items(["milk", "tea"])
        stats = raw.info("stats")
    # Each packet that arrives is one read of the server; `info` itself is another.
    assert stats["total_reads_processed"] == 3
    assert [read.tries for read in seen] == [1, 1, 1]


async def test_a_shop_without_any_list_gets_an_empty_answer_that_is_no_error(
    shop: Either, valkey: OwnValkey
) -> None:
    with redis.Redis.from_url(valkey.url) as raw:
        raw.flushall()
    assert await shop.recommend("ann", last_item="milk") == Answer("none")
    assert await shop.items(["milk"]) == {}


async def test_facts_of_items_are_those_of_the_catalogue(shop: Either) -> None:
    assert await shop.items(["milk", "?", "tea"]) == {"milk": MILK, "tea": TEA}
    assert await shop.items([]) == {}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"user": ""}, 'user is ""'),
        ({"user": 7}, "user is of type int"),
        ({"user": "x" * 257}, "257 characters"),
        ({"user": "\ud800"}, "not text"),
        ({"last_item": ""}, "last_item"),
        ({"category": b"Dairy"}, "category is of type bytes"),
        ({"size": 0}, "size is 0"),
    ],
)
async def test_what_cannot_be_asked_is_said_as_an_error_or_in_an_empty_answer(
    shop: Either, wrong: dict[str, object], said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        await shop.recommend(**wrong)
    answer = await shop.recommend_or_nothing(**wrong)
    assert (answer.source, answer.items) == ("none", ())
    assert said in answer.problem
    with pytest.raises(RequestError, match="one text"):
        await shop.items("milk")
    assert await shop.items_or_nothing([""]) == {}


@pytest.mark.parametrize("user", ["{a}b", "a b", "größe", "}", "\x00", "*", 'q"'])
async def test_an_id_may_hold_any_character(shop: Either, shelves: RedisStore, user: str) -> None:
    await shelves.write_lists({user: a_list("odd")})
    answer = await shop.recommend(user)
    assert (answer.source, ids(answer)) == ("own", ["odd"])


async def test_a_value_that_is_no_list_is_passed_over_and_named(
    shop: Either, valkey: OwnValkey
) -> None:
    with redis.Redis.from_url(valkey.url) as raw:
        for broken in (b"", b"{", b"[]", b'{"items": [{"id": 7}]}', b"\xff"):
            raw.set("endcap:rec:{ann}", broken)
            answer = await shop.recommend("ann", last_item="milk")
            assert answer.source == "similar"
            assert "endcap:rec:{<user>} is not a list" in answer.problem
            assert "ann" not in answer.problem
        raw.delete("endcap:rec:{ann}")
        raw.hset("endcap:rec:{ann}", "a", "hash")
        assert "WRONGTYPE" in (await shop.recommend("ann")).problem
        raw.delete("endcap:trending")
        with pytest.raises(UnreadableValueError):
            await shop.recommend("ann")
        assert "WRONGTYPE" in (await shop.recommend_or_nothing("ann")).problem
        raw.hset("endcap:item:{milk}", "price", "cheap")
        with pytest.raises(UnreadableValueError, match="cheap"):
            await shop.items(["milk", "tea"])
        assert await shop.items_or_nothing(["milk", "tea"]) == {"tea": TEA}
        raw.hset("endcap:item:{milk}", "price", "nan")
        with pytest.raises(UnreadableValueError, match="nan"):
            await shop.items(["milk"])


async def test_fields_that_a_later_endcap_adds_are_no_matter(
    shop: Either, valkey: OwnValkey
) -> None:
    with redis.Redis.from_url(valkey.url) as raw:
        raw.set(
            "endcap:rec:{ann}",
            b'{"version":8,"model":"m","generated_at":5,"colour":"red","items":'
            b'[{"id":"new","score":1,"reason":"why","rank":{"of":3}}]}',
        )
    assert ids(await shop.recommend("ann")) == ["new"]


async def test_a_redis_that_is_away_is_asked_again_and_then_said(kind: str) -> None:
    (port,) = free_ports(1)
    seen: list[Observation] = []
    options = Options(tries=3, observe=seen.append, **QUICK)
    shop = connected(kind, f"redis://reader:pa55@127.0.0.1:{port}/0", options)
    with pytest.raises(ListsUnavailableError) as raised:
        await shop.recommend("ann")
    assert f"127.0.0.1:{port}" in str(raised.value)
    assert "pa55" not in str(raised.value)
    answer = await shop.recommend_or_nothing("ann")
    assert answer == Answer("none", problem=str(raised.value))
    with pytest.raises(ListsUnavailableError):
        await shop.items(["milk"])
    assert await shop.items_or_nothing(["milk"]) == {}
    await shop.close()
    assert {(read.error, read.tries) for read in seen} == {("ListsUnavailableError", 3)}
    assert Counter(read.what for read in seen) == {"list": 2, "items": 2}


async def test_a_redis_that_stands_still_is_given_up_and_found_again(
    kind: str, valkey: OwnValkey, shelves: RedisStore
) -> None:
    shop = connected(kind, valkey.url, Options(tries=2, **QUICK))
    valkey.pause()
    try:
        with pytest.raises(ListsUnavailableError, match="TimeoutError"):
            await shop.recommend("ann")
    finally:
        valkey.resume()
    await shop.close()
    patient = connected(kind, valkey.url, Options(timeout_s=5, deadline_s=30))
    assert ids(await patient.recommend("ann")) == ["own-1", "own-2"]
    await patient.close()


async def test_a_restart_of_redis_costs_a_reader_nothing(kind: str, tmp_path: Path) -> None:
    own = OwnValkey(tmp_path)
    shop = connected(kind, own.url, Options(timeout_s=5, deadline_s=30))
    try:
        assert (await shop.recommend("ann")).source == "none"
        own.stop()
        own.start()
        assert (await shop.recommend("ann")).source == "none"
    finally:
        await shop.close()
        own.stop()


async def test_more_readers_than_connections_wait_for_one_another(
    kind: str, valkey: OwnValkey, shelves: RedisStore
) -> None:
    options = Options(timeout_s=5, deadline_s=30, max_connections=2)
    shop = connected(kind, valkey.url, options)
    answers = await asyncio.gather(*(shop.recommend("ann") for _ in range(40)))
    assert {answer.source for answer in answers} == {"own"}
    with redis.Redis.from_url(valkey.url) as raw:
        names = [row for row in raw.client_list() if row["cmd"] == "get"]
    assert len(names) <= 2
    await shop.close()


async def test_a_wrong_password_is_refused_at_once(
    kind: str, valkey: OwnValkey, shelves: RedisStore
) -> None:
    seen: list[Observation] = []
    url = valkey.url.replace("redis://", "redis://nobody:wr0ng@")
    shop = connected(kind, url, Options(timeout_s=5, observe=seen.append))
    with pytest.raises(ReadRefusedError, match="password") as raised:
        await shop.recommend("ann")
    assert "wr0ng" not in str(raised.value)
    assert [(read.error, read.tries) for read in seen] == [("ReadRefusedError", 1)]
    await shop.close()


@pytest.mark.parametrize(
    "url",
    [
        *("", "http://store:80", "store:6379", "redis://store:many/0", "redis://[::1"),
        *("redis://store/shop", "redis://store:6379/0?cluster=true", "redis://store?retry=3"),
        *("redis://store?socket_timeout=soon", "redis://store?ssl_cert_reqs=none"),
    ],
)
def test_a_url_that_is_none_is_said_before_anything_connects(kind: str, url: str) -> None:
    with pytest.raises(RequestError):
        connected(kind, url, Options())
    of_cluster = Client if kind == "sync" else AsyncClient
    with pytest.raises(RequestError):
        of_cluster.connect_to_cluster("redis://store:6379", url)


@pytest.mark.parametrize("url", ["redis://store:6379/3", "unix:///run/redis.sock"])
def test_what_is_no_node_of_a_cluster_is_said_before_anything_connects(kind: str, url: str) -> None:
    of_cluster = Client if kind == "sync" else AsyncClient
    with pytest.raises(RequestError, match="no node of a cluster"):
        of_cluster.connect_to_cluster(url)


@pytest.mark.parametrize("wrong", [{"timeout_s": 0}, {"tries": 0}, {"deadline_s": -1}])
def test_an_option_out_of_its_range_is_named(wrong: dict[str, float]) -> None:
    with pytest.raises(RequestError, match=next(iter(wrong))):
        Options(**wrong)


def test_pauses_double_up_to_a_bound() -> None:
    options = Options(tries=6, backoff_s=0.1, backoff_cap_s=0.3)
    drawn = [list(options.pauses()) for _ in range(200)]
    assert {len(pauses) for pauses in drawn} == {5}
    for longest, column in zip((0.1, 0.2, 0.3, 0.3, 0.3), zip(*drawn, strict=True), strict=True):
        assert longest / 2 < max(column) <= longest


def test_one_error_stands_for_all() -> None:
    kinds = (ListsUnavailableError, ReadRefusedError, RequestError, UnreadableValueError)
    assert all(issubclass(one, ClientError) for one in kinds)
