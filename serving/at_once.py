"""Answering a request without a task: the layers before the application are asked first whether
they can, and what they found out is not asked again.

A task, its first step and its waking take longer than reading and joining a list does
(docs/decisions/0023). Who runs the server drives it: `endcap/deploy/list_protocol.py`.
"""

from typing import Protocol

from starlette.types import ASGIApp, Scope


class Begun(Protocol):
    """A request that a layer has taken."""

    def finish(self, body: bytes) -> None:
        """200, with this JSON."""
        ...

    def go_on(self) -> None:
        """It could not be answered at once: by ASGI, from the outermost layer."""
        ...


class AtOnce(Protocol):
    """A layer that may answer at once."""

    def begin(self, scope: Scope, begun: Begun) -> bool:
        """Whether it has taken the request: then it calls one method of `begun`, now or later.
        False: `begun` is not called, and the request goes by ASGI."""
        ...


def begins(app: ASGIApp, scope: Scope, begun: Begun) -> bool:
    """`begin` of a layer that has one."""
    begin = getattr(app, "begin", None)
    return begin is not None and bool(begin(scope, begun))
