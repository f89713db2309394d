"""How a client identifies itself to Kafka: TLS and SASL, carried by the brokers' address.

Every part that talks to Kafka is given the address and builds its clients by it, so what goes with
the address reaches all of them. Names of protocols and mechanisms are Kafka's own
(https://kafka.apache.org/documentation/#security).
"""

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from endcap.errors import SettingsError

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]


class KafkaSecurity(NamedTuple):
    """What a listener of the broker wants. `ca_file`: PEM; None: the system's authorities.
    `certificate_file` and `key_file`, PEM: only where the broker asks clients for one."""

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str = ""
    password: str = ""
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def __repr__(self) -> str:
        """Without the password."""
        return f"KafkaSecurity({self.protocol}, {self.username!r})"

    @property
    def has_tls(self) -> bool:
        """Whether what is sent is encrypted."""
        return self.protocol in {"SSL", "SASL_SSL"}

    @property
    def has_sasl(self) -> bool:
        """Whether a user and a password are shown."""
        return self.protocol in {"SASL_PLAINTEXT", "SASL_SSL"}

    def checked(self) -> Self:
        """Itself.

        Raises:
            SettingsError: it contradicts itself; a password that would not be used is an error, as
                nobody would see that the connection is an anonymous one.
        """
        if self.has_sasl and not (self.username and self.password):
            raise SettingsError(
                f"kafka_security_protocol {self.protocol} needs kafka_username and kafka_password."
            )
        if not self.has_sasl and (self.username or self.password):
            raise SettingsError(
                "kafka_username or kafka_password is set, but kafka_security_protocol is "
                f"{self.protocol}, which uses neither: set SASL_SSL (or SASL_PLAINTEXT)."
            )
        if not self.has_tls and (self.ca_file or self.certificate_file or self.key_file):
            raise SettingsError(
                "kafka_ca_file, kafka_certificate_file or kafka_key_file is set, but "
                f"kafka_security_protocol is {self.protocol}, without TLS: set SASL_SSL (or SSL)."
            )
        if (self.certificate_file is None) != (self.key_file is None):
            raise SettingsError("kafka_certificate_file and kafka_key_file go together.")
        return self

    def context(self) -> ssl.SSLContext | None:
        """Verifies the broker's certificate and its name, always; None without TLS.

        Raises:
            SettingsError: a file cannot be read, or is not PEM.
        """
        if not self.has_tls:
            return None
        return _context(self.ca_file, self.certificate_file, self.key_file)

    def of_aiokafka(self) -> dict[str, Any]:
        """As aiokafka's clients take it."""
        given: dict[str, Any] = {"security_protocol": self.protocol}
        if self.has_tls:
            given["ssl_context"] = self.context()
        if self.has_sasl:
            given["sasl_mechanism"] = self.mechanism
            given["sasl_plain_username"] = self.username
            given["sasl_plain_password"] = self.password
        return given


class BrokerAddress(str):
    """`host:port`, several with commas, and how one identifies oneself there.

    >>> address = BrokerAddress("broker:9093", KafkaSecurity("SSL"))
    >>> address, security_of(address).protocol, security_of("localhost:9092").protocol
    ('broker:9093', 'SSL', 'PLAINTEXT')
    """

    security: KafkaSecurity

    def __new__(cls, servers: str, security: KafkaSecurity) -> Self:
        """The text is the servers alone, to be printed."""
        made = super().__new__(cls, servers)
        made.security = security
        return made


def security_of(bootstrap_servers: str) -> KafkaSecurity:
    """What an address carries; a bare one is of a broker that wants nothing."""
    if isinstance(bootstrap_servers, BrokerAddress):
        return bootstrap_servers.security
    return KafkaSecurity()


@lru_cache
def _context(
    ca_file: Path | None, certificate_file: Path | None, key_file: Path | None
) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(
            f"kafka_ca_file {ca_file} cannot be used ({error}): name a file in PEM with the "
            "certificate of the authority that signed the broker's."
        ) from error
    if certificate_file is not None and key_file is not None:
        try:
            context.load_cert_chain(str(certificate_file), str(key_file))
        except OSError as error:
            raise SettingsError(
                f"kafka_certificate_file {certificate_file} and kafka_key_file {key_file} cannot "
                f"be used ({error}): name a certificate and its key without a password, in PEM."
            ) from error
    return context
