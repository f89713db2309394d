"""What a read may raise. No exception of redis-py leaves this package."""

from endcap.errors import EndcapError, StoreUnavailableError


class ClientError(EndcapError):
    """All of them."""


class RequestError(ClientError, ValueError):
    """What was asked cannot be: an empty id, a size below 1, a URL that is none."""


class ListsUnavailableError(ClientError, StoreUnavailableError):
    """Redis did not answer in time, tries again included. Asking later may help."""


class ReadRefusedError(ClientError):
    """Redis answers, and does not let this user read: a password or an ACL."""


class UnreadableValueError(ClientError):
    """A key of the contract holds something else than the contract says."""
