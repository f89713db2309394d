"""Addresses of Redis, checked before anything connects."""

import contextlib
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

from endcap.client.errors import RequestError
from endcap.client.foreign import without_password

_SCHEMES = ("redis", "rediss", "unix")
_TLS = frozenset(
    f"ssl_{name}"
    for name in ("ca_certs", "ca_path", "cert_reqs", "certfile", "check_hostname", "keyfile")
)
_OPTIONS = {
    "redis": frozenset({"client_name", "protocol"}),
    "rediss": frozenset({"client_name", "protocol"}) | _TLS,
    "unix": frozenset({"client_name", "db", "protocol"}),
}
"""By scheme, what may stand behind the question mark. How long to wait and how many connections to
hold are said by `Options`: there a wrong value is named, and nothing overrides another."""


def checked_url(url: str) -> str:
    """The same, of one server.

    Raises:
        RequestError: it has another form.
    """
    if not _is_url(url):
        raise RequestError(
            f"{without_password(str(url))!r} is no URL of a Redis: write redis://host:6379/0, "
            "rediss:// for TLS, or unix:///path."
        )
    parts = urlsplit(url)
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    known = _OPTIONS[parts.scheme]
    for name in names:
        if name == "cluster":
            raise RequestError(
                f"The URL of {without_password(url)} says cluster: leave that out, and open a "
                "cluster by connect_to_cluster."
            )
        if name not in known:
            raise RequestError(
                f"The URL of {without_password(url)} says {name}, which it cannot; it may say "
                f"{', '.join(sorted(known))}. How long to wait is said by Options."
            )
    return url


def checked_urls(urls: Sequence[str]) -> list[str]:
    """The same, of nodes of a cluster.

    Raises:
        RequestError: there is none, or one has another form.
    """
    if not urls:
        raise RequestError("No URL: give that of one node of the cluster at least.")
    for url in urls:
        parts = urlsplit(checked_url(url))
        if parts.scheme == "unix" or parts.path not in {"", "/", "/0"}:
            raise RequestError(
                f"{without_password(url)!r} is no node of a cluster: write redis://host:6379 or "
                "rediss://host:6379; a cluster has database 0 alone."
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
    # Brackets that do not close raise, and a port that is no number does when it is looked at.
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        is_database = parts.scheme == "unix" or not parts.path.strip("/").strip("0123456789")
        return parts.scheme in _SCHEMES and parts.port != 0 and is_database
    return False
