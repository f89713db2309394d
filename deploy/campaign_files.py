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
    """CSV with a header: user_id, campaign, uplift, consent (true, false), contacts; if the shop
    likes, segment.

    Raises:
        DataError: it cannot be read, a column is missing, or a row is wrong; named by its line.
    """
    from endcap.marketing.assignment import Candidate

    fields = Candidate.__struct_fields__
    found = []
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines)
            there = rows.fieldnames or ()
            missing = [each for each in fields if each != "segment" and each not in there]
            if missing:
                raise DataError(f"{file} has no column {', '.join(missing)}.")
            for row in rows:
                told = {name: row[name] for name in fields if name in there}
                try:
                    found.append(msgspec.convert(told, Candidate, strict=False))
                except msgspec.ValidationError as error:
                    raise DataError(f"{file}, line {rows.line_num}: {error}.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read: {error}.") from error
    return found


def write_rows(file: Path, rows: Sequence[object], fields: Sequence[str]) -> None:
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
    """Into the topic `endcap.campaigns`; returns how many the broker has acknowledged. Who was
    planned for a campaign already is not planned again.

    A file of candidates has ids as the shop or the stream knows them: this is a door as well.

    Raises:
        BrokerUnavailableError: no broker answers, or it did not acknowledge in time.
        SettingsError: the secret of pseudonyms is too short.
    """
    from endcap.streams.contact_records import CampaignRecord, send_contacts

    records = [
        CampaignRecord(
            f"{each.campaign}:{kept_id}",
            each.campaign,
            kept_id,
            each.is_held_out,
            each.expected_uplift,
            each.cost,
            planned_ms,
            each.segment,
            each.holdout,
        )
        for each in contacts
        for kept_id in (settings.kept_id(each.user_id),)
    ]
    return asyncio.run(send_contacts(settings.broker, settings.topics, records))
