"""What customers asked the assistant, for the back office."""

import asyncio

from aiokafka.errors import KafkaError

from endcap.deploy.settings import Settings
from endcap.serving.office_desks import Told
from endcap.streams.clients import unavailable
from endcap.streams.conversation_records import newest_conversations

MOST = 50
READ_S = 30.0


class Conversations:
    """Implements the server's `ConversationDesk`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reading = asyncio.Lock()

    async def newest(self, hand_overs_alone: bool) -> Told:
        """The newest hand-overs, for whom a person is waited for; then the newest others.

        Raises:
            BrokerUnavailableError: no broker answers.
        """
        broker, topics = self._settings.broker, self._settings.topics
        try:
            async with self._reading, asyncio.timeout(READ_S):
                found = await newest_conversations(broker, topics, MOST, hand_overs_alone=True)
                if not hand_overs_alone:
                    newest = await newest_conversations(broker, topics, MOST)
                    found += [said for said in newest if said["hand_over"] is None]
        except (TimeoutError, KafkaError) as error:
            raise unavailable(broker, error) from error
        return {"is_switched_on": self._settings.assistant, "conversations": found}
