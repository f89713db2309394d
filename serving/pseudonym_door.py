"""Ids in addresses become pseudonyms before anything else sees them.

An ASGI layer, built only where pseudonyms are wanted: without them nothing is asked.
"""

from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send

from endcap.pseudonyms import Naming
from endcap.serving.at_once import Begun, begins

BEFORE_USER = (
    "/v1/recommendations/",
    "/v1/users/",
    "/shop/known/",
    "/shop/list/",
    "/shop/updates/",
    "/shop/token/",
    "/office/data/segments/",
)
"""What stands before a shopper's id in a path; a test holds it against the routes."""
_NAMED = "endcap.pseudonym"
"""In a scope: `begin` has put it there."""


class PseudonymDoor:
    """Before the application, and before what answers ready lists."""

    def __init__(self, app: ASGIApp, name: Naming) -> None:
        self._app = app
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if not scope.pop(_NAMED, False):
            self._rename(scope)
        await self._app(scope, receive, send)

    def begin(self, scope: Scope, begun: Begun) -> bool:
        """See `AtOnce`."""
        self._rename(scope)
        scope[_NAMED] = True
        return begins(self._app, scope, begun)

    def _rename(self, scope: Scope) -> None:
        path: str = scope.get("path", "")
        for before in BEFORE_USER:
            user, slash, behind = path.removeprefix(before).partition("/")
            if path.startswith(before) and user:
                named = before + self._name(user) + slash + behind
                # In place: who looks at the scope afterwards finds the route in it.
                scope["path"], scope["raw_path"] = named, quote(named, safe="/~").encode()
                break
