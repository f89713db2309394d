"""Who may call which route of HTTP, how often, and what a refused caller is told."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from endcap.deploy import keys_cli
from endcap.deploy.http_access import http_access
from endcap.deploy.settings import load_settings
from endcap.errors import SettingsError
from endcap.events import Event
from endcap.lists import ListItem, RecommendationList
from endcap.serving.api_keys import new_key, parse_keys, wanted_role
from endcap.serving.guard import Access, Guard
from endcap.serving.http import Options, create_app
from endcap.serving.memory_store import MemoryStore
from endcap.serving.rate_limits import Rate, RateLimits
from endcap.serving.ruled_lists import RuledLists
from endcap.sessions import Session

ROLES = ("reader", "writer", "privacy", "operator")
ONE_OF_EACH = {
    "reader": ("GET", "/v1/trending"),
    "writer": ("POST", "/v1/events"),
    "privacy": ("GET", "/v1/users/nobody"),
    "operator": ("GET", "/metrics"),
}
LIST = RecommendationList(1, "m", 1, (ListItem("milk", 0.5, "popular right now"),))
VIEW = (
    '{"event_id":"e","user_id":"u","event_name":"view_item",'
    '"timestamp_ms":1700000000000,"items":[{"item_id":"i"}]}'
)


class NoSessions:
    async def session(self, user_id: str) -> Session | None:
        return None


class Taken:
    """Events that were let through."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def send_all(self, events: Sequence[Event]) -> None:
        self.events += events


async def a_client(access: Access, host: str = "10.0.0.1") -> httpx.AsyncClient:
    store = MemoryStore()
    await store.write_trending(LIST)
    app = create_app(RuledLists(store), Taken(), NoSessions(), Options(access=access))
    transport = httpx.ASGITransport(app=app, client=(host, 1234))
    return httpx.AsyncClient(transport=transport, base_url="http://shop")


def keys_of(*roles: str, **more: Any) -> tuple[dict[str, str], Mapping[str, object]]:
    """A key of each role in clear, and all of them as they are configured."""
    made = {role: new_key() for role in roles}
    configured = {
        role: {"sha256": sha256, "roles": [role], **more} for role, (_, sha256) in made.items()
    }
    return {role: key for role, (key, _) in made.items()}, configured


async def test_each_route_wants_its_role_and_no_other_key_opens_it() -> None:
    keys, configured = keys_of(*ROLES)
    async with await a_client(Access(parse_keys(configured))) as client:
        for wanted, (method, path) in ONE_OF_EACH.items():
            for role, key in keys.items():
                found = await client.request(
                    method, path, headers={"Authorization": f"Bearer {key}"}, content=VIEW
                )
                assert (found.status_code == 403) == (role != wanted), (path, role)
            assert (await client.request(method, path)).status_code == 401
        for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
            assert (await client.get(path)).status_code < 300
        assert (await client.get("/")).status_code == 404  # a page cannot keep a key


async def test_every_route_that_is_documented_has_its_role() -> None:
    async with await a_client(Access(parse_keys(keys_of("reader")[1]))) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    found = {path: wanted_role(path) for path in paths}
    assert {path for path, role in found.items() if role is None} == {"/healthz", "/readyz"}
    assert {path for path, role in found.items() if role == "operator"} == {"/metrics"}
    assert all(role == "privacy" for path, role in found.items() if "/users" in path)
    for path, methods in paths.items():
        for operation in methods.values():
            assert ("security" in operation) == (found[path] is not None)


async def test_the_office_is_open_as_a_page_and_its_data_are_the_operators() -> None:
    assert wanted_role("/office") is None
    assert wanted_role("/office/page/office.js") is None
    assert wanted_role("/office/data/prices") == "operator"
    assert wanted_role("/officers") == "operator"
    keys, configured = keys_of("reader")
    async with await a_client(Access(parse_keys(configured))) as client:
        page = await client.get("/office")
        assert (page.status_code, "ENDCAP_HTTP_OFFICE" in page.json()["detail"]) == (404, True)
        assert (await client.get("/office/data/prices")).status_code == 401
        reader = {"X-API-Key": keys["reader"]}
        assert (await client.get("/office/data/prices", headers=reader)).status_code == 403


async def test_a_refusal_says_what_to_do_and_never_repeats_the_key() -> None:
    keys, configured = keys_of("reader")
    async with await a_client(Access(parse_keys(configured))) as client:
        none = await client.get("/v1/trending")
        assert "Authorization: Bearer" in none.json()["detail"]
        assert none.headers["www-authenticate"] == "Bearer"
        wrong = await client.get("/v1/trending", headers={"X-API-Key": keys["reader"] + "x"})
        assert wrong.status_code == 401
        assert keys["reader"] not in wrong.text
        other = await client.get("/metrics", headers={"X-API-Key": keys["reader"]})
        assert (other.status_code, "operator" in other.json()["detail"]) == (403, True)
        for answer in (none, wrong, other):
            assert answer.headers["content-type"] == "application/problem+json"


async def test_a_beacon_brings_its_key_in_the_address_and_nothing_else_may() -> None:
    keys, configured = keys_of("reader", "writer")
    async with await a_client(Access(parse_keys(configured))) as client:
        beacon = {"Content-Type": "text/plain;charset=UTF-8"}
        sent = await client.post(f"/v1/events?key={keys['writer']}", content=VIEW, headers=beacon)
        assert (sent.status_code, sent.json()) == (202, {"accepted": 1})
        assert (await client.get(f"/v1/trending?key={keys['reader']}")).status_code == 401


async def test_who_asks_too_often_is_told_when_to_come_again() -> None:
    async with await a_client(Access(rate=Rate(0.01, 2))) as client:
        codes = [(await client.get("/v1/trending")).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        late = await client.get("/v1/trending")
        assert 90 < int(late.headers["retry-after"]) <= 100
        assert late.json()["type"] == "urn:endcap:problem:too-many-requests"
        assert (await client.get("/healthz")).status_code == 200


async def test_a_key_has_a_bucket_and_a_rate_of_its_own() -> None:
    keys, configured = keys_of("reader", rate_per_s=0.01)
    ring = parse_keys(configured)
    async with await a_client(Access(ring, Rate(0.01, 3))) as client:
        key = {"Authorization": f"Bearer {keys['reader']}"}
        with_key = [(await client.get("/v1/trending", headers=key)).status_code for _ in range(2)]
        assert with_key == [200, 429]
        guesses = [
            (await client.get("/v1/trending", headers={"X-API-Key": "guess"})).status_code
            for _ in range(4)
        ]
        assert guesses == [401, 401, 401, 429]


async def test_who_asks_with_a_key_for_another_role_is_limited_as_well() -> None:
    keys, configured = keys_of("reader", rate_per_s=0.01)
    async with await a_client(Access(parse_keys(configured))) as client:
        key = {"Authorization": f"Bearer {keys['reader']}"}
        codes = [(await client.get("/metrics", headers=key)).status_code for _ in range(2)]
        assert codes == [403, 429]


async def test_of_ipv6_a_network_is_one_caller() -> None:
    access = Access(rate=Rate(0.01, 1))
    keep = await a_client(access, "2001:db8:0:1::5")
    app: Any = keep._transport
    async with keep as client:
        assert (await client.get("/v1/trending")).status_code == 200
        app.client = ("2001:db8:0:1::6", 1)
        assert (await client.get("/v1/trending")).status_code == 429
        app.client = ("2001:db8:0:2::5", 1)
        assert (await client.get("/v1/trending")).status_code == 200


async def test_pages_of_named_origins_may_call_and_no_others() -> None:
    _, configured = keys_of("reader")
    store = MemoryStore()
    options = Options(access=Access(parse_keys(configured)), origins=["https://shop.example"])
    app = create_app(RuledLists(store), Taken(), NoSessions(), options)
    wanted = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "X-API-Key"}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        for origin, code in (("https://shop.example", 200), ("https://other.example", 400)):
            asked = await client.options("/v1/trending", headers={"Origin": origin, **wanted})
            assert asked.status_code == code
            refused = await client.get("/v1/trending", headers={"Origin": origin})
            assert refused.status_code == 401
            assert ("access-control-allow-origin" in refused.headers) == (code == 200)


def test_without_keys_and_limits_there_is_no_layer_at_all() -> None:
    assert not isinstance(create_app(RuledLists(MemoryStore()), Taken(), NoSessions()), Guard)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"sha256": "abc", "roles": ["reader"]}, "64 hexadecimal digits"),
        ({"sha256": "0" * 64, "roles": ["admin"]}, "admin"),
        ({"sha256": "0" * 64, "roles": []}, "length >= 1"),
        ({"key": "in clear", "roles": ["reader"]}, "endcap keys new"),
    ],
)
def test_a_key_of_the_wrong_form_is_named_with_what_fits(fields: object, says: str) -> None:
    with pytest.raises(SettingsError, match="The API key web is wrong") as wrong:
        parse_keys({"web": fields})
    assert says in str(wrong.value)


@given(
    gaps_s=st.lists(st.floats(0, 3), min_size=1, max_size=60),
    per_s=st.floats(0.5, 20),
    burst=st.integers(1, 8),
)
def test_never_more_get_through_than_the_burst_and_the_rate_allow(
    gaps_s: list[float], per_s: float, burst: int
) -> None:
    now = 1000.0
    limits = RateLimits(clock=lambda: now)
    let_through = 0
    for gap_s in gaps_s:
        now += gap_s
        wait_s = limits.wait_s("caller", Rate(per_s, burst))
        let_through += wait_s == 0
        if wait_s:
            now += wait_s + 1e-6  # and who waits as long as they are told gets through
            assert limits.wait_s("caller", Rate(per_s, burst)) == 0
            let_through += 1
    assert let_through <= burst + per_s * (now - 1000.0) + 1e-3


def test_a_new_key_is_shown_once_and_its_lines_are_what_the_file_wants(tmp_path: Path) -> None:
    made = CliRunner().invoke(keys_cli.app, ["new", "web", "--role", "reader", "--role", "writer"])
    key, *lines = made.stdout.splitlines()
    path = tmp_path / "keys.toml"
    path.write_text("\n".join(lines))
    access = http_access(load_settings(api_keys_file=path))
    assert access.keys is not None
    found = access.keys.find(key.encode())
    assert found is not None
    assert (found.name, found.roles) == ("web", {"reader", "writer"})
    assert key not in path.read_text()


def test_keys_stand_in_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    key, sha256 = new_key()
    monkeypatch.setenv(
        "ENDCAP_API_KEYS", json.dumps({"web": {"sha256": sha256, "roles": ["reader"]}})
    )
    access = http_access(load_settings(rate_limit_per_s=2.5))
    assert access.keys is not None
    assert access.keys.find(key.encode()) is not None
    assert access.rate == Rate(2.5, 3)


def test_without_keys_the_server_says_what_is_open(caplog: pytest.LogCaptureFixture) -> None:
    assert http_access(load_settings()).is_open
    assert "open to this machine" in caplog.text
    http_access(load_settings(http_host="0.0.0.0"))  # noqa: S104  # it is what is warned of
    assert "all who reach 0.0.0.0" in caplog.text


def test_a_file_of_keys_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    for name, text, says in (
        ("a", None, "cannot be read"),
        ("b", "[", "no TOML"),
        ("c", "", "no key"),
    ):
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        with pytest.raises(SettingsError, match=says):
            http_access(load_settings(api_keys_file=path))
