"""The files and the topic of a campaign: definitions and candidates in, contacts out."""

import asyncio
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from endcap.deploy.settings import Settings
from endcap.errors import DataError, EndcapError, SettingsError

if TYPE_CHECKING:
    from endcap.marketing.assignment import Candidate, Contact
    from endcap.marketing.definition import CampaignFile

_ACKNOWLEDGE_S = 30.0
_BATCH = 1000


class CampaignRecord(msgspec.Struct, frozen=True):
    """A value of the topic `endcap.campaigns`; its key is the user id. `contact_id`: what a repeat
    is known by."""

    contact_id: str
    campaign: str
    user_id: str
    is_held_out: bool
    expected_uplift: float
    cost: float
    planned_ms: int


def read_campaigns(file: Path) -> "CampaignFile":
    """The definitions.

    Raises:
        FileMistakesError: every mistake with its line.
        SettingsError: it cannot be read.
    """
    from endcap.marketing.definition import parse_campaigns

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}.") from error
    return parse_campaigns(text, str(file))


def read_candidates(file: Path) -> "list[Candidate]":
    """CSV with a header: user_id, campaign, uplift, consent (true, false), contacts.

    Raises:
        DataError: it cannot be read, a column is missing, or a row is wrong; named by its line.
    """
    from endcap.marketing.assignment import Candidate

    fields = Candidate.__struct_fields__
    found = []
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines)
            missing = [each for each in fields if each not in (rows.fieldnames or ())]
            if missing:
                raise DataError(f"{file} has no column {', '.join(missing)}.")
            for row in rows:
                told = {name: row[name] for name in fields}
                try:
                    found.append(msgspec.convert(told, Candidate, strict=False))
                except msgspec.ValidationError as error:
                    raise DataError(f"{file}, line {rows.line_num}: {error}.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read: {error}.") from error
    return found


def write_rows(file: Path, rows: "Sequence[Candidate | Contact]", fields: Sequence[str]) -> None:
    """CSV with a header; booleans as true and false.

    Raises:
        EndcapError: it cannot be written.
    """
    try:
        with file.open("w", encoding="utf-8", newline="") as lines:
            writer = csv.writer(lines, lineterminator="\n")
            writer.writerow(fields)
            for row in rows:
                values = [getattr(row, name) for name in fields]
                writer.writerow(
                    [str(each).lower() if isinstance(each, bool) else each for each in values]
                )
    except OSError as error:
        raise EndcapError(f"{file} cannot be written: {error.strerror}.") from error


def publish(settings: Settings, contacts: "Sequence[Contact]", planned_ms: int) -> int:
    """Into the topic `endcap.campaigns`; returns how many the broker has acknowledged. Planned
    again, a contact has the same `contact_id`.

    Raises:
        BrokerUnavailableError: no broker answers, or it did not acknowledge in time.
    """

    async def sent() -> int:
        from endcap.streams.clients import started_producer, stop_producer
        from endcap.streams.record_producer import RecordProducer

        raw = await started_producer(settings.broker)
        producer = RecordProducer(raw, settings.topics.campaigns.name, "contact_id", _ACKNOWLEDGE_S)
        try:
            for first in range(0, len(contacts), _BATCH):
                await producer.send_all(
                    [_record(each, planned_ms) for each in contacts[first : first + _BATCH]]
                )
        finally:
            await stop_producer(raw)
        return len(contacts)

    return asyncio.run(sent())


def _record(contact: "Contact", planned_ms: int) -> tuple[str, bytes]:
    record = CampaignRecord(
        f"{contact.campaign}:{contact.user_id}",
        contact.campaign,
        contact.user_id,
        contact.is_held_out,
        contact.expected_uplift,
        contact.cost,
        planned_ms,
    )
    return contact.user_id, msgspec.json.encode(record)
