"""A real broker that wants TLS and a password, and lets each user do what it was allowed alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from acl_request import Allowed, allow
from authorities import Authority

from endcap.deploy.local_stack import default_cache_dir
from endcap.deploy.local_stack.kafka import (
    format_kafka,
    kafka_jars,
    new_cluster_id,
    start_formatted_kafka,
)
from endcap.deploy.local_stack.ports import free_ports
from endcap.streams.clients import started_admin
from endcap.streams.kafka_security import BrokerAddress, KafkaSecurity

# The tests' own listener has neither; who comes by it may do everything.
_PROPERTIES = """\
listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{secured},\
CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{secured}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
"""


class SecuredKafka:
    """It runs until `stop`. `users`: passwords by name."""

    def __init__(self, folder: Path, users: Mapping[str, str]) -> None:
        self.authority = Authority(folder / "authority")
        self._users = users
        port, secured, controller = free_ports(3)
        self.open_address = f"127.0.0.1:{port}"
        self.secured_address = f"127.0.0.1:{secured}"
        properties = _PROPERTIES.format(
            port=port, secured=secured, controller=controller, keystore=self.authority.server
        )
        jars = kafka_jars(default_cache_dir(), lambda _: None)
        format_kafka(port, controller, folder, jars, new_cluster_id(), properties, users)
        self._child = start_formatted_kafka(port, folder, jars)

    def settings_of(self, user: str) -> dict[str, str]:
        """The environment of a process that comes as this user."""
        return {
            "ENDCAP_KAFKA_BOOTSTRAP_SERVERS": self.secured_address,
            "ENDCAP_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "ENDCAP_KAFKA_USERNAME": user,
            "ENDCAP_KAFKA_PASSWORD": self._users[user],
            "ENDCAP_KAFKA_CA_FILE": str(self.authority.ca),
        }

    def address_of(self, user: str, password: str = "") -> BrokerAddress:
        """For a client in this process."""
        security = KafkaSecurity(
            "SASL_SSL",
            username=user,
            password=password or self._users[user],
            ca_file=self.authority.ca,
        )
        return BrokerAddress(self.secured_address, security)

    async def allow(self, rights: Sequence[Allowed]) -> None:
        """Let users do these things."""
        admin = await started_admin(self.open_address)
        try:
            await allow(admin, rights)
        finally:
            await admin.close()

    def stop(self) -> None:
        self._child.stop()
