"""Why a broker did not take a client in: aiokafka says only that it could not start.

One connection is tried again by hand, and what it ends with is put in words.
"""

import asyncio
import ssl

from aiokafka.conn import create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.protocol.metadata import MetadataRequest

from endcap.errors import BrokerRefusedError
from endcap.streams.kafka_security import security_of

_TIMEOUT_MS = 3000
LACKING_RIGHTS = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)


def lacking_right(error: BaseException, bootstrap_servers: str = "") -> BrokerRefusedError | None:
    """What a client may not do, in words; None: the error is of another kind."""
    if not isinstance(error, LACKING_RIGHTS):
        return None
    what = type(error).__name__.partition("Authorization")[0]
    of = ", ".join(str(each) for each in error.args if each)
    where = f" at {bootstrap_servers}" if bootstrap_servers else ""
    return BrokerRefusedError(
        f"The broker{where} does not let this user do that ({what}{': ' if of else ''}{of}): its "
        "access list has no such right. `endcap topics acls` prints what each process needs."
    )


async def refusal_of(bootstrap_servers: str) -> BrokerRefusedError | None:
    """What the first broker that can be reached has against this client; None: none is reached, or
    nothing speaks against it now."""
    for server in bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            said = await _said_by(bootstrap_servers, host.strip("[]"), int(port))
        except (TimeoutError, OSError, ValueError):
            continue
        return None if said is None else BrokerRefusedError(f"The broker at {server} {said}")
    return None


async def _said_by(bootstrap_servers: str, host: str, port: int) -> str | None:
    security = security_of(bootstrap_servers)
    try:
        connection = await create_conn(
            host, port, request_timeout_ms=_TIMEOUT_MS, **security.of_aiokafka()
        )
        try:
            await asyncio.wait_for(connection.send(MetadataRequest([])), _TIMEOUT_MS / 1000)
        finally:
            connection.close()
    except ssl.SSLCertVerificationError as error:
        return (
            f"shows a certificate that is not to be trusted: {error.verify_message}. Set "
            "kafka_ca_file to the authority that signed it, and use a name that stands in it; "
            "if you did, somebody else answers there."
        )
    except ssl.SSLError as error:
        return (
            f"breaks off TLS ({error.reason}). Either that port has none, or it wants a "
            "certificate of the client's (kafka_certificate_file, kafka_key_file)."
        )
    except ConnectionRefusedError:
        raise
    except (KafkaConnectionError, ConnectionError):
        return (
            "closes the connection without a word. It may want another kafka_security_protocol "
            f"than {security.protocol}: SASL_SSL, SASL_PLAINTEXT, SSL or PLAINTEXT."
        )
    except (KafkaError, ValueError) as error:
        if not security.has_sasl:
            raise
        return (
            f"refuses the user {security.username!r} by {security.mechanism} "
            f"({type(error).__name__}: {error}). Check kafka_username, kafka_password and "
            "kafka_sasl_mechanism, and that the broker knows this user by that mechanism."
        )
    return None
