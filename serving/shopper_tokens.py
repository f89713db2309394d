"""Tokens by which shoppers show who they are: signed, short-lived, read by nobody but this server.

`USER.EXPIRY.SIGNATURE`: the user id in URL-safe base64, Unix seconds, and HMAC-SHA256 (RFC 2104)
over both. A shop's own server hands them out after its login; whoever has the secret can make them.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable

from endcap.errors import SettingsError
from endcap.events import MAX_ID_LENGTH

LEAST_SECRET = 16
_PURPOSE = b"endcap shopper token 1\0"
"""What else is signed with the same secret makes no token."""
_MAX_LETTERS = 4 * MAX_ID_LENGTH + 100


class ShopperTokens:
    """Makes and checks tokens. Compared in constant time."""

    def __init__(
        self, secret: str, valid_s: int = 3600, clock: Callable[[], float] = time.time
    ) -> None:
        """
        Raises:
            SettingsError: the secret is too short to be one.
        """
        if len(secret) < LEAST_SECRET:
            raise SettingsError(
                f"shopper_token_secret has {len(secret)} characters: at least {LEAST_SECRET}, such "
                'as `python -c "import secrets; print(secrets.token_urlsafe(32))"` prints.'
            )
        self._secret = secret.encode()
        self._valid_s = valid_s
        self._clock = clock

    def make(self, user_id: str) -> str:
        """A token for a shopper who has logged in."""
        expires = int(self._clock()) + self._valid_s
        name = base64.urlsafe_b64encode(user_id.encode()).decode().rstrip("=")
        signed = f"{name}.{expires}"
        return f"{signed}.{self._signature(signed)}"

    def user_of(self, token: str) -> str | None:
        """Whose token it is; None where it is not one of ours, was changed, or has expired."""
        signed, _, signature = token.rpartition(".")
        if len(token) > _MAX_LETTERS or not token.isascii():
            return None
        if not hmac.compare_digest(self._signature(signed), signature):
            return None
        name, _, expires = signed.partition(".")
        if not expires.isdigit() or int(expires) <= self._clock():
            return None
        try:
            padded = name + "=" * (-len(name) % 4)
            return base64.urlsafe_b64decode(padded).decode() or None
        except (binascii.Error, UnicodeDecodeError):
            return None

    def _signature(self, signed: str) -> str:
        digest = hmac.new(self._secret, _PURPOSE + signed.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
