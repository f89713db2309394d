"""HTTP over a real store: each route, each error."""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from endcap.deploy.local_stack import LocalStack
from endcap.lists import ListItem, RecommendationList, Shelf
from endcap.serving.http import MAX_BODY_BYTES, MAX_EVENTS, create_app
from endcap.serving.redis_store import RedisStore
from endcap.serving.ruled_lists import RuledLists
from endcap.streams.clients import create_topics, started_consumer, started_producer
from endcap.streams.event_producer import EventProducer
from endcap.streams.session_view import SessionView
from endcap.topics import Topics, topics_with_prefix

pytestmark = pytest.mark.integration
VIEW = (
    '{"event_id":"e%d","user_id":"u","event_name":"view_item",'
    '"timestamp_ms":1700000000000,"items":[{"item_id":"i"}]}'
)


@pytest.fixture
def topics() -> Topics:
    return topics_with_prefix(f"t{uuid4().hex[:8]}")


@pytest.fixture
async def client(stack: LocalStack, topics: Topics) -> AsyncIterator[httpx.AsyncClient]:
    await create_topics(stack.bootstrap_servers, topics, 1)
    store = RedisStore(stack.redis_url)
    producer = await started_producer(stack.bootstrap_servers)
    sessions = SessionView(stack.bootstrap_servers, topics)
    await sessions.start()
    app = create_app(RuledLists(store), EventProducer(producer, topics.events.name), sessions)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as opened:
        yield opened
    await sessions.stop()
    await producer.stop()
    await store.close()


async def test_own_list_first_and_trending_for_the_unknown(
    client: httpx.AsyncClient, stack: LocalStack
) -> None:
    store = RedisStore(stack.redis_url)
    user = uuid4().hex
    ready = RecommendationList(1, "m", 1, (ListItem("milk", 0.5, "popular right now"),))
    await store.write_lists({user: ready})
    await store.write_trending(ready, only_if_absent=True)
    await store.close()
    own = (await client.get(f"/v1/recommendations/{user}")).json()
    assert (own["source"], own["items"][0]["id"]) == ("own", "milk")
    assert (await client.get("/v1/recommendations/nobody")).json()["source"] == "trending"
    assert user in (await client.get("/v1/shoppers?limit=200")).json()


async def test_who_has_no_list_sees_what_trends_where_they_are(
    client: httpx.AsyncClient, stack: LocalStack
) -> None:
    store = RedisStore(stack.redis_url)
    category, shop = uuid4().hex, uuid4().hex
    ready = RecommendationList(1, "m", 1, (ListItem("milk", 0.5, "popular right now"),))
    await store.write_trending(ready, only_if_absent=True)
    await store.write_shelves({Shelf("category", category): ready, Shelf("store", shop): ready})
    await store.close()
    for asked, source in (
        ({"category": category, "store": shop}, "category"),
        ({"category": uuid4().hex, "store": shop}, "store"),
        ({"store": uuid4().hex}, "trending"),
    ):
        found = await client.get(f"/v1/recommendations/{uuid4().hex}", params=asked)
        assert found.json()["source"] == source


async def test_events_are_accepted_when_the_broker_has_them(
    client: httpx.AsyncClient, stack: LocalStack, topics: Topics
) -> None:
    one = await client.post("/v1/events", content=VIEW % 1)
    assert (one.status_code, one.json()) == (202, {"accepted": 1})
    two = await client.post("/v1/events", content=f"[{VIEW % 2},{VIEW % 3}]")
    assert two.json() == {"accepted": 2}
    consumer = await started_consumer(stack.bootstrap_servers, topics.events.name)
    try:
        keys = [(await consumer.getone()).key for _ in range(3)]
    finally:
        await consumer.stop()
    assert keys == [b"u", b"u", b"u"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("{", 422, "not JSON"),
        ('{"event_id":"e"}', 422, "missing required field"),
        ("[" + ",".join([VIEW % 1] * (MAX_EVENTS + 1)) + "]", 422, "at most 500"),
        ("x" * (MAX_BODY_BYTES + 1), 413, "smaller batches"),
    ],
)
async def test_bad_events_get_a_problem_that_says_what_to_do(
    client: httpx.AsyncClient, body: str, status: int, says: str
) -> None:
    answer = await client.post("/v1/events", content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


async def test_health_readiness_metrics_and_the_page(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).status_code == 200
    assert (await client.get("/readyz")).json() == {"store": True, "kept": False}
    assert (await client.get("/v1/users/nobody/session")).status_code == 404
    assert "endcap_http_requests_total" in (await client.get("/metrics")).text
    assert (await client.get("/")).status_code == 404  # this one has no shop
