"""Keys and limits of HTTP, from the settings."""

import logging
import math
import tomllib
from typing import Any

from endcap.deploy.local_stack.ports import LOOPBACK
from endcap.deploy.settings import Settings
from endcap.errors import SettingsError
from endcap.serving.api_keys import KeyRing, parse_keys
from endcap.serving.guard import Access
from endcap.serving.rate_limits import Rate

log = logging.getLogger(__name__)
_HERE = {LOOPBACK, "localhost", "::1"}


def http_access(settings: Settings) -> Access:
    """Who may call what, and how often; what is open is logged.

    Raises:
        SettingsError: a key has the wrong form, or the file cannot be read.
    """
    keys = _keys(settings)
    if keys is None:
        host = settings.http_host
        reach = "this machine" if host in _HERE else f"all who reach {host}"
        log.warning(
            "No API keys are set: every route of HTTP is open to %s, people's data among them. "
            "`endcap keys new` makes a key; api_keys or api_keys_file takes it.",
            reach,
        )
    per_s = settings.rate_limit_per_s
    burst = settings.rate_limit_burst or max(1, math.ceil(per_s))
    return Access(keys, Rate(per_s, burst))


def _keys(settings: Settings) -> KeyRing | None:
    configured: dict[str, Any] = dict(settings.api_keys)
    path = settings.api_keys_file
    if path is not None:
        try:
            with path.open("rb") as file:
                configured |= tomllib.load(file)
        except OSError as error:
            raise SettingsError(
                f"The setting api_keys_file names {path}, which cannot be read ({error.strerror}). "
                "`endcap keys new NAME --role reader` prints lines for it."
            ) from error
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"{path} (api_keys_file) is no TOML: {error}.") from error
        if not configured:
            raise SettingsError(
                f"{path}, which api_keys_file names, has no key: nobody could call anything. "
                "`endcap keys new NAME --role reader` prints lines for it."
            )
    return parse_keys(configured) if configured else None
