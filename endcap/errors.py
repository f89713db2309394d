"""Every error endcap raises on purpose.

Catch `EndcapError` for all of them, or a subclass for one kind. A message says what happened, to
what, and what to do next: it is written to be read by the person at the terminal.
"""


class EndcapError(Exception):
    """Root of the tree."""


class InvalidEventError(EndcapError):
    """An event that cannot be folded; `reason` is the short label used in metrics."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ConsentDeniedError(InvalidEventError):
    """An event of somebody who has refused: it is dropped and counted, and stored nowhere, dead
    letters included."""

    def __init__(self) -> None:
        super().__init__("consent_denied", "The shopper has denied consent: it is not stored.")


class BundleError(EndcapError):
    """A model bundle that must not be loaded: a file is missing, changed or of another schema."""


class SettingsError(EndcapError):
    """A setting that is unknown or has the wrong form."""


class ConnectionFailedError(EndcapError):
    """Something outside (Kafka, Redis) did not answer in time."""


class BrokerUnavailableError(ConnectionFailedError):
    """No Kafka broker answers at the address given."""


class BrokerRefusedError(BrokerUnavailableError):
    """A broker answers, but takes this client not in: another password, certificate or protocol."""


class RegistryUnavailableError(ConnectionFailedError):
    """The schema registry did not answer, or not as a schema registry."""


class StoreUnavailableError(ConnectionFailedError):
    """No Redis-compatible server answers at the address given."""


class StoreRefusedError(StoreUnavailableError):
    """A server answers, but refuses this client: another password, certificate or right."""


class RuntimeConflictError(EndcapError):
    """The installation contradicts itself: both onnxruntime packages, or a missing extra."""


class ProviderUnavailableError(EndcapError):
    """ONNX Runtime does not use the execution provider that was asked for."""


class DataError(EndcapError):
    """A data set or file that cannot be read as what it should be."""


class TopicsDifferError(EndcapError):
    """Topics that must have equally many partitions have not."""
