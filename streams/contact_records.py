"""Planned contacts of campaigns as they are kept: one live record each, until erased or too old.

The topic is compacted and its keys are contacts, not shoppers: two campaigns may plan the same
shopper, and an erasure ends each record by its key (docs/decisions/0037).
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from endcap.decoding import decode_with
from endcap.streams.clients import read_whole, started_producer, stop_producer
from endcap.streams.record_producer import RecordProducer
from endcap.topics import Topics

log = logging.getLogger(__name__)
_ACKNOWLEDGE_S = 30.0
_BATCH = 1_000


class CampaignRecord(msgspec.Struct, frozen=True):
    """A value of the topic `endcap.campaigns`; its key is the `contact_id`.

    `segment`: the shopper's when it was planned, "" where nobody told; `holdout`: the share of
    those chosen that the lot leaves alone, None in records of before.
    """

    contact_id: str
    campaign: str
    user_id: str
    is_held_out: bool
    expected_uplift: float
    cost: float
    planned_ms: int
    segment: str = ""
    holdout: float | None = None


async def planned_contacts(bootstrap_servers: str, topics: Topics) -> dict[str, CampaignRecord]:
    """All that are planned and not erased, by contact id; a contact that was sent twice is what it
    was at first.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    decoder = msgspec.json.Decoder(CampaignRecord)
    contacts: dict[str, CampaignRecord] = {}
    keys: dict[tuple[int, bytes | None], list[str]] = {}
    async for record in read_whole(bootstrap_servers, topics.campaigns.name):
        place = record.partition, record.key
        if record.value is None:
            for contact_id in keys.pop(place, ()):
                contacts.pop(contact_id, None)
            continue
        try:
            contact = decode_with(decoder, record.value)
        except msgspec.MsgspecError as error:
            log.warning("skipped a malformed record of %s: %s", topics.campaigns.name, error)
            continue
        keys.setdefault(place, []).append(contact.contact_id)
        held = contacts.setdefault(contact.contact_id, contact)
        if contact.planned_ms < held.planned_ms:
            contacts[contact.contact_id] = contact
    return contacts


async def contacts_of(
    bootstrap_servers: str, topics: Topics, ids: Collection[str]
) -> list[dict[str, Any]]:
    """What was planned for these shoppers, oldest first, as JSON values.

    Raises:
        BrokerUnavailableError: no broker answers.
    """
    every = (await planned_contacts(bootstrap_servers, topics)).values()
    found = sorted((one for one in every if one.user_id in ids), key=lambda one: one.planned_ms)
    return [msgspec.to_builtins(one) for one in found]


async def send_contacts(
    bootstrap_servers: str, topics: Topics, contacts: Sequence[CampaignRecord]
) -> int:
    """Those that are not in the topic yet; returns how many the broker has acknowledged.

    Who was planned already stays as they were: a second lot would mix the addressed with the held
    out, and a mail would go out twice.

    Raises:
        BrokerUnavailableError: no broker answers, or it did not acknowledge in time.
    """
    known: Mapping[str, CampaignRecord] = await planned_contacts(bootstrap_servers, topics)
    new = [each for each in contacts if each.contact_id not in known]
    raw = await started_producer(bootstrap_servers)
    producer = RecordProducer(raw, topics.campaigns.name, "contact_id", _ACKNOWLEDGE_S)
    try:
        for first in range(0, len(new), _BATCH):
            await producer.send_all(
                [
                    (each.contact_id, msgspec.json.encode(each))
                    for each in new[first : first + _BATCH]
                ]
            )
    finally:
        await stop_producer(raw)
    return len(new)
