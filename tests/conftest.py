"""One local stack for the whole run: real Kafka, real Valkey, started once."""

from collections.abc import Iterator

import pytest

from endcap.deploy.local_stack import LocalStack


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """The servers; tests keep apart by their own topic prefixes and user ids."""
    with LocalStack(None, None) as running:
        yield running
