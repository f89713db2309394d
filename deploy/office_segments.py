"""Segments and the contacts that were planned, for the back office."""

import asyncio
import time
from typing import Any

import msgspec
from aiokafka.errors import KafkaError

from endcap.deploy.settings import Settings
from endcap.segments import state_at
from endcap.serving.office_desks import Told
from endcap.serving.segment_store import SegmentStore
from endcap.streams.clients import unavailable
from endcap.streams.contact_records import CampaignRecord, planned_contacts

READ_S = 30.0
_MISSING = (
    "There are no segments yet: nobody bought anything, or `endcap segments follow` does not run. "
    "The demo learns them in the background, in about a minute, and then starts it."
)


class Segments:
    """Implements the server's `SegmentDesk`."""

    def __init__(self, settings: Settings, store: SegmentStore) -> None:
        self._settings = settings
        self._store = store
        self._counting = asyncio.Lock()

    async def counts(self) -> Told:
        """As `endcap segments count`, and what campaigns have planned.

        It walks all keys of segments: one look at a time.

        Raises:
            ConnectionFailedError: Redis or Kafka does not answer.
        """
        async with self._counting:
            found = await self._store.counts(_now_ms())
        is_ready = bool(found["states"])
        return {
            "is_ready": is_ready,
            "note": "" if is_ready else _MISSING,
            **found,
            "campaigns": await self._campaigns(),
        }

    async def segment(self, user_id: str) -> Told | None:
        """As `endcap segments show`.

        Raises:
            StoreUnavailableError: Redis does not answer.
        """
        held = await self._store.segment(user_id)
        if held is None:
            return None
        found: dict[str, Any] = msgspec.to_builtins(held)
        return {"user_id": user_id, "state": state_at(held, _now_ms())} | found

    async def _campaigns(self) -> list[Told]:
        """What lies in the topic of contacts, by campaign, each once."""
        broker = self._settings.broker
        try:
            async with asyncio.timeout(READ_S):
                contacts = await planned_contacts(broker, self._settings.topics)
        except (TimeoutError, KafkaError) as error:
            raise unavailable(broker, error) from error
        return [
            _campaign(name, [one for one in contacts.values() if one.campaign == name])
            for name in sorted({one.campaign for one in contacts.values()})
        ]


def _campaign(name: str, contacts: list[CampaignRecord]) -> Told:
    addressed = [one for one in contacts if not one.is_held_out]
    return {
        "campaign": name,
        "contacts": len(addressed),
        "held_out": len(contacts) - len(addressed),
        "expected_uplift": round(sum(one.expected_uplift for one in addressed), 2),
        "cost": round(sum(one.cost for one in addressed), 2),
        "planned_ms": max(one.planned_ms for one in contacts),
    }


def _now_ms() -> int:
    return int(time.time() * 1000)
