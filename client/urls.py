"""Addresses of Redis, checked before anything connects."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from endcap.client.errors import RequestError
from endcap.client.foreign import without_password

_SCHEMES = ("redis", "rediss", "unix")


def checked_urls(urls: Sequence[str]) -> list[str]:
    """The same.

    Raises:
        RequestError: there is none, or one has another form.
    """
    if not urls:
        raise RequestError("No URL: give that of one node of the cluster at least.")
    for url in urls:
        if not isinstance(url, str) or urlsplit(url).scheme not in _SCHEMES:
            raise RequestError(
                f"{without_password(str(url))!r} is no URL of a Redis: write redis://host:6379/0, "
                "rediss:// for TLS, or unix:///path."
            )
    return list(urls)


def other_nodes(urls: Sequence[str]) -> list[tuple[str, int]]:
    """Host and port of all but the first, where a cluster may be met, too."""
    found = []
    for url in urls[1:]:
        parts = urlsplit(url)
        found.append((parts.hostname or "localhost", parts.port or 6379))
    return found
