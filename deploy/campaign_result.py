"""A campaign's holdout read back: contacts and purchases out of the stream, uplift out of both."""

import asyncio
import csv
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from aiokafka.errors import KafkaError

from endcap.deploy.printed import screen
from endcap.deploy.progress import Bars
from endcap.deploy.settings import Settings
from endcap.errors import DataError, EndcapError
from endcap.streams.campaign_purchases import Since, spent_since
from endcap.streams.clients import unavailable
from endcap.streams.contact_records import CampaignRecord, planned_contacts

if TYPE_CHECKING:
    from endcap.streams.campaign_purchases import Spent

DAY_MS = 86_400_000
READ_S = 120.0


def read_result(
    settings: Settings, name: str, days: int, items: frozenset[str] | None
) -> dict[str, Any]:
    """What a campaign was expected to bring and brought, until now.

    1. Its contacts, addressed and held out, from the topic of campaigns.
    2. What each has bought in the `days` since they were planned, from the events.
    3. Both arms compared.

    Raises:
        BrokerUnavailableError: no broker answers.
        EndcapError: no such campaign, no holdout, or nothing is bought yet.
    """
    from endcap.marketing.holdout import Outcomes, lot, result_of

    now_ms = int(time.time() * 1000)
    contacts = asyncio.run(_contacts(settings, name))
    windows = {
        one.user_id: Since(one.planned_ms, min(now_ms, one.planned_ms + days * DAY_MS))
        for one in contacts
    }
    with Bars(screen) as bars:
        spent = asyncio.run(
            spent_since(settings.broker, settings.topics, windows, now_ms, items, bars.advance)
        )
    found = Outcomes(
        np.array([one.is_held_out for one in contacts]),
        np.array([one.expected_uplift for one in contacts]),
        np.array([spent.money.get(one.user_id, 0.0) for one in contacts]),
        np.array([spent.orders.get(one.user_id, 0) for one in contacts]),
        np.array([one.segment for one in contacts], np.str_),
    )
    try:
        told = result_of(found)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    shares = {one.holdout for one in contacts if one.holdout is not None}
    ratio = lot(found.is_held_out, shares.pop()) if len(shares) == 1 else None
    if ratio is not None:
        told["sample_ratio"] = ratio._asdict() | {"is_sound": ratio.is_sound}
    first, last = (side(one.planned_ms for one in contacts) for side in (min, max))
    until_ms = last + days * DAY_MS
    told["cost"] = round(sum(one.cost for one in contacts if not one.is_held_out), 2)
    told["left_out"] = spent.left_out
    head = {
        "campaign": name,
        "goods": "all" if items is None else f"{len(items):,} items",
        "planned": [_day(first), _day(last)],
        "until": _day(until_ms),
        "as_of_ms": now_ms,
    }
    mixed = len({one.holdout for one in contacts}) > 1
    told["warnings"] = _warnings(told, spent, now_ms < until_ms, mixed)
    return head | told


def read_goods(file: Path, campaign: str) -> frozenset[str]:
    """Item ids of a CSV with the column item_id; where it has a column campaign, of this one.

    Raises:
        DataError: it cannot be read, has no such column, or names none.
    """
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines)
            if "item_id" not in (rows.fieldnames or ()):
                raise DataError(f"{file} has no column item_id.")
            found = frozenset(
                row["item_id"] for row in rows if row.get("campaign", campaign) == campaign
            )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read: {error}.") from error
    if not found:
        raise DataError(f"{file} names no item of {campaign}.")
    return found


async def _contacts(settings: Settings, name: str) -> list[CampaignRecord]:
    try:
        async with asyncio.timeout(READ_S):
            every = (await planned_contacts(settings.broker, settings.topics)).values()
    except (TimeoutError, KafkaError) as error:
        raise unavailable(settings.broker, error) from error
    found = [one for one in every if one.campaign == name]
    if not found:
        known = sorted({one.campaign for one in every})
        there = f"There are contacts of {', '.join(known)}." if known else "There are none at all."
        raise EndcapError(
            f"No contacts of the campaign {name} are in {settings.topics.campaigns.name}. {there} "
            "`endcap campaign plan FILE --candidates FILE --send` writes them, and the topic's "
            "retention ends them."
        )
    return found


def _warnings(told: dict[str, Any], spent: "Spent", is_early: bool, mixed: bool) -> list[str]:
    from endcap.marketing.holdout import FEW_BUYERS, OTHERS

    found = []
    ratio = told.get("sample_ratio")
    if ratio is not None and not ratio["is_sound"]:
        found.append(
            f"SAMPLE RATIO MISMATCH (chi-squared {ratio['chi_squared']:.1f}, p "
            f"{ratio['p_value']:.1g}): {told['held_out']:,} held out do not fit the share of the "
            "lot. Something loses contacts of one arm. Do not believe the uplift before it is "
            "found."
        )
    if mixed:
        found.append(
            "The holdout's share was changed between plans: the arms were planned at other times. "
            "Do not believe the uplift where much changed in between."
        )
    if is_early:
        found.append(
            "The days are not over. The interval holds for one look at the end: who stops at the "
            "first good day finds uplifts that are none."
        )
    if not spent.is_whole:
        found.append(
            "Part of the purchases is gone: the events no longer go back to the plan. Keep them "
            "for longer than a campaign runs (events_retention_days)."
        )
    if (least := min(told["buyers"].values())) < FEW_BUYERS:
        found.append(f"An arm has {least:,} buyers: one large basket moves the result.")
    if lines := spent.left_out.get("lines_without_price"):
        found.append(f"{lines:,} bought lines have no price, and count as nothing.")
    if {each["segment"] for each in told["segments"]} == {OTHERS}:
        found.append("No segment is told: candidates had no column segment, or all are small.")
    elif len(told["segments"]) > 1:
        found.append(
            f"{len(told['segments'])} segments are looked at, each by itself: an interval of 95 % "
            "leaves out the truth in 1 of 20."
        )
    return found


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")
