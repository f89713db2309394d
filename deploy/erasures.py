"""Requests to be forgotten over HTTP: into their topic, and the receipts out of it."""

from typing import Any
from uuid import uuid4

from endcap.erasure import Request, encode_erasure
from endcap.serving.person_routes import Answers
from endcap.streams.person import receipts_of, still_missing
from endcap.streams.record_producer import RecordProducer
from endcap.topics import Topics


class TopicErasures:
    """Implements the HTTP server's port over a started producer."""

    def __init__(
        self, bootstrap_servers: str, topics: Topics, producer: Any, acknowledge_s: float
    ) -> None:
        self._bootstrap = bootstrap_servers
        self._topics = topics
        self._requests = RecordProducer(producer, topics.erasures.name, "user id", acknowledge_s)

    async def ask(self, user_id: str) -> str:
        """Returns the request's id when the broker has it.

        Raises:
            BrokerUnavailableError: it did not acknowledge in time.
        """
        request_id = uuid4().hex[:12]
        key, value = encode_erasure(Request(request_id, user_id))
        await self._requests.send_all([(key.decode(), value)])
        return request_id

    async def answers(self, request_id: str) -> Answers:
        """What has been answered by now.

        Raises:
            BrokerUnavailableError: no broker answers.
        """
        receipts = await receipts_of(self._bootstrap, self._topics, request_id)
        return Answers(receipts, frozenset(still_missing(receipts, request_id)))
