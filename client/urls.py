"""Addresses of Redis, checked before anything connects."""

import contextlib
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
        if not _is_url(url):
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


def _is_url(url: object) -> bool:
    if not isinstance(url, str):
        return False
    parts = urlsplit(url)
    with contextlib.suppress(ValueError):  # a port that is no number raises when it is looked at
        return parts.scheme in _SCHEMES and parts.port != 0
    return False
