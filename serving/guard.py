"""The layer before all others, where keys or limits are set: who may ask, and how often.

Without keys and limits it is not there at all.
"""

import ipaddress
import math
from typing import NamedTuple
from urllib.parse import parse_qs

from fastapi import Response
from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from endcap.serving.api_keys import Key, KeyRing, wanted_role
from endcap.serving.at_once import Begun, begins
from endcap.serving.problems import problem
from endcap.serving.rate_limits import Rate, RateLimits

REFUSED = Counter(
    "endcap_http_refused_total",
    "Requests refused before a route saw them: no_key, wrong_key, role, rate",
    ["reason"],
)
NO_LIMIT = Rate(0.0, 1)
_SEEN = "endcap.guard"
"""In a scope: what `begin` found, a refusal or None."""


class Access(NamedTuple):
    """`keys` None: everybody may call everything. `rate`: of a key, or of an address without."""

    keys: KeyRing | None = None
    rate: Rate = NO_LIMIT

    @property
    def is_open(self) -> bool:
        """Nothing is ever refused."""
        return self.keys is None and not self.rate.per_s


class Guard:
    """An ASGI layer around the application."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.application = app
        self._keys = access.keys
        self._rate = access.rate
        self._limits = RateLimits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or hand on."""
        if scope["type"] == "http":
            role = wanted_role(scope["path"])
            if role is not None:
                seen = _SEEN in scope  # a token has been spent
                refusal = scope.pop(_SEEN) if seen else self._refusal(scope, role)
                if refusal is not None:
                    await refusal(scope, receive, send)
                    return
        await self.application(scope, receive, send)

    def begin(self, scope: Scope, begun: Begun) -> bool:
        """See `AtOnce`: for who shows a good key. Others are known by their address, which is found
        in the headers on the way here."""
        role = wanted_role(scope["path"])
        if role is not None:
            key = self._key_in(_presented(scope, role))
            if key is None:
                return False
            scope[_SEEN] = refusal = self._refusal_of(scope, role, key)
            if refusal is not None:
                return False
        return begins(self.application, scope, begun)

    def _key_in(self, presented: bytes) -> Key | None:
        return self._keys.find(presented) if self._keys is not None and presented else None

    def _refusal(self, scope: Scope, role: str) -> Response | None:
        """Who does not show a good key spends from their address' bucket."""
        if self._keys is None:
            return self._too_often(scope, None)
        presented = _presented(scope, role)
        key = self._key_in(presented)
        if key is None:
            return self._too_often(scope, None) or _unknown(presented)
        return self._refusal_of(scope, role, key)

    def _refusal_of(self, scope: Scope, role: str, key: Key) -> Response | None:
        if refusal := self._too_often(scope, key):
            return refusal  # before its role: what is refused for that costs a token as well
        if role not in key.roles:
            REFUSED.labels("role").inc()
            return problem(
                403,
                "Not allowed",
                f"The key {key.name} has not the role {role}, which this route wants.",
            )
        return None

    def _too_often(self, scope: Scope, key: Key | None) -> Response | None:
        if key is None:
            caller, rate = _address(scope), self._rate
        else:
            caller = f"key {key.name}"
            per_s = key.rate_per_s
            rate = self._rate if per_s is None else Rate(per_s, max(1, math.ceil(per_s)))
        wait_s = self._limits.wait_s(caller, rate)
        if not wait_s:
            return None
        REFUSED.labels("rate").inc()
        return problem(
            429,
            "Too many requests",
            f"At most {rate.per_s:g} requests/s, {rate.burst} at once. Wait {wait_s:.1f} s.",
            {"Retry-After": str(math.ceil(wait_s))},
        )


def _presented(scope: Scope, role: str) -> bytes:
    """`Authorization: Bearer KEY`, or `X-API-Key: KEY`; for writers `?key=KEY` too, because a
    browser's beacon carries no headers."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, key = value.partition(b" ")
            if scheme.lower() == b"bearer":
                return bytes(key.strip())
        elif name == b"x-api-key":
            return bytes(value.strip())
    if role == "writer" and scope["query_string"]:
        return next(iter(parse_qs(bytes(scope["query_string"])).get(b"key", ())), b"")
    return b""


def _unknown(presented: bytes) -> Response:
    REFUSED.labels("wrong_key" if presented else "no_key").inc()
    return problem(
        401,
        "No valid key",
        "This key is not known here; ask the operator."
        if presented
        else "Send `Authorization: Bearer KEY`; the operator hands out keys (`endcap keys new`).",
        {"WWW-Authenticate": "Bearer"},
    )


def _address(scope: Scope) -> str:
    """Whose bucket it is without a key; of IPv6 the network, of which one caller has all."""
    host = scope["client"][0] if scope.get("client") else ""
    if ":" not in host:
        return str(host)
    try:
        return str(int(ipaddress.IPv6Address(host.partition("%")[0])) >> 64)
    except ValueError:
        return str(host)
