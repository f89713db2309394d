"""A real broker with TLS and passwords: who may come in does, who may not is told why."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from acl_request import Allowed
from authorities import Authority
from secured_kafka import SecuredKafka

from endcap.deploy.kafka_rights import Right
from endcap.errors import BrokerRefusedError, BrokerUnavailableError
from endcap.streams.clients import started_admin, started_consumer, started_producer
from endcap.streams.kafka_security import BrokerAddress, KafkaSecurity

ANN, BEN = "ann", "ben"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    running = SecuredKafka(tmp_path_factory.mktemp("secured"), {ANN: "right", BEN: "of-ben"})
    asyncio.run(
        running.allow([Allowed(ANN, Right("topic", "shop.", ("Read", "Write"), "prefixed"))])
    )
    yield running
    running.stop()


async def test_who_has_the_password_is_let_in_as_every_kind_of_client(kafka: SecuredKafka) -> None:
    address = kafka.address_of(ANN)
    for started in (started_producer, started_consumer):
        await (await started(address)).stop()
    admin = await started_admin(address)
    await admin.close()


async def test_who_lacks_a_right_is_told_where_the_rights_are_listed(kafka: SecuredKafka) -> None:
    with pytest.raises(BrokerRefusedError, match=r"does not let this user.*endcap topics acls"):
        await started_producer(kafka.address_of(BEN))


async def test_a_wrong_password_is_named_and_is_not_a_broker_that_is_away(
    kafka: SecuredKafka,
) -> None:
    with pytest.raises(BrokerRefusedError) as refused:
        await started_producer(kafka.address_of(ANN, "wrong"))
    assert "refuses the user 'ann' by SCRAM-SHA-512" in str(refused.value)
    assert "kafka_password" in str(refused.value)
    assert "No Kafka broker" not in str(refused.value)
    assert "wrong" not in str(refused.value)


async def test_a_certificate_of_another_authority_is_named(
    kafka: SecuredKafka, tmp_path: Path
) -> None:
    stranger = kafka.address_of(ANN).security._replace(ca_file=Authority(tmp_path).ca)
    with pytest.raises(BrokerRefusedError, match=r"not to be trusted.*kafka_ca_file"):
        await started_consumer(BrokerAddress(kafka.secured_address, stranger))


async def test_a_certificate_of_another_name_is_named(kafka: SecuredKafka) -> None:
    security = kafka.address_of(ANN).security
    elsewhere = kafka.secured_address.replace("127.0.0.1", "localhost")
    with pytest.raises(BrokerRefusedError, match="not to be trusted"):
        await started_admin(BrokerAddress(elsewhere, security))


async def test_a_client_without_tls_is_told_what_to_set(kafka: SecuredKafka) -> None:
    with pytest.raises(BrokerRefusedError, match="kafka_security_protocol"):
        await started_producer(kafka.secured_address)


async def test_tls_towards_a_listener_without_it_is_named(kafka: SecuredKafka) -> None:
    security = kafka.address_of(ANN).security
    with pytest.raises(BrokerRefusedError, match=r"TLS|kafka_security_protocol"):
        await started_producer(BrokerAddress(kafka.open_address, security))


async def test_a_broker_that_is_away_is_still_one_that_is_away() -> None:
    with pytest.raises(BrokerUnavailableError, match="No Kafka broker answers") as away:
        await started_producer(BrokerAddress("127.0.0.1:1", KafkaSecurity("PLAINTEXT")))
    assert not isinstance(away.value, BrokerRefusedError)
