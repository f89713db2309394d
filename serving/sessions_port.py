"""Where session state is read."""

from typing import Protocol

from endcap.sessions import Session


class SessionReader(Protocol):
    """Every shopper's newest session."""

    async def session(self, user_id: str) -> Session | None:
        """A user's newest session."""
        ...
