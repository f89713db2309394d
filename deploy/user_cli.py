"""`endcap user`: what is known of a person, shown, handed out, or erased with a receipt."""

import asyncio
import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import typer

from endcap.deploy.printed import Json, screen
from endcap.deploy.printed import show as show_result
from endcap.deploy.settings import Settings, load_settings
from endcap.errors import EndcapError

app = typer.Typer(no_args_is_help=True, help="A person's data: shown, handed out, erased.")
_LOOK_S = 0.5
UserId = Annotated[str, typer.Argument(help="The user id, or a device's anonymous id.")]


@app.command()
def show(user_id: UserId, as_json: Json = False) -> None:
    """What is known of a person now, in short.

    Example: endcap user show 1364
    """
    settings = load_settings()
    user_id = settings.kept_id(user_id)
    held = asyncio.run(_held(settings, user_id))
    session = held["session"]
    found = {
        "user_id": user_id,
        "devices": held["devices"],
        "events_folded": session["events_folded"] if session else 0,
        "cart": held["cart"],
        "interactions": len(session["interactions"]) if session else 0,
        "purchased_items": len(session["purchased"]) if session else 0,
        "raw_events": len(held["raw_events"]),
        "dead_letters": len(held["dead_letters"]),
        "questions": len(held["conversations"]),
        "contacts": len(held["contacts"]),
        "list": [item["id"] for item in held["list"]["items"]] if held["list"] else None,
    }
    show_result(found, as_json)


@app.command()
def export(
    user_id: UserId,
    out: Annotated[Path | None, typer.Option(help="The file; stdout where it is left out.")] = None,
) -> None:
    """All that is held of a person, as JSON: session, raw events, dead letters, list, segment,
    questions, contacts of campaigns.

    Example: endcap user export 1364 --out 1364.json
    """
    settings = load_settings()
    found = json.dumps(asyncio.run(_held(settings, settings.kept_id(user_id))), indent=1)
    if out is None:
        print(found)
    else:
        out.write_text(found + "\n")
        screen.print(f"Written to {out}", highlight=False)


@app.command()
def erase(
    user_id: UserId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    purge_events: Annotated[
        bool,
        typer.Option(
            "--purge-events",
            help="Delete raw events too, everybody's up to now in this person's partitions.",
        ),
    ] = False,
    timeout_s: Annotated[float, typer.Option(help="How long to wait for the receipts.")] = 60.0,
    as_json: Json = False,
) -> None:
    """Erase a person and their devices everywhere, and print the receipt.

    Example: endcap user erase 1364 --yes
    """
    if not yes and not typer.confirm(f"Erase all that is known of {user_id}?", err=True):
        raise EndcapError("Nothing was erased.")
    settings = load_settings()
    found = asyncio.run(_erase(settings, settings.kept_id(user_id), purge_events, timeout_s))
    show_result(found, as_json)
    if found["missing"]:
        waited = ", ".join(found["missing"])
        raise EndcapError(
            f"The request stands, but after {timeout_s:.0f} s these have not answered: {waited}. "
            "`endcap stream` answers for sessions and events, `endcap rescore` for the others. "
            f"Look again with: endcap user receipt {found['request_id']}"
        )


@app.command()
def receipt(
    request_id: Annotated[str, typer.Argument(help="As `endcap user erase` printed it.")],
    as_json: Json = False,
) -> None:
    """What an erasure removed where.

    Example: endcap user receipt 5f0c1a
    """
    from endcap.streams.person import receipts_of, still_missing

    settings = load_settings()
    receipts = asyncio.run(receipts_of(settings.broker, settings.topics, request_id))
    if not receipts:
        raise EndcapError(
            f"There is no receipt for {request_id}: it is not known, or `endcap stream` has not "
            "come to it yet."
        )
    found = _told(request_id, receipts, still_missing(receipts, request_id))
    show_result(found, as_json)


async def _held(settings: Settings, user_id: str) -> dict[str, Any]:
    from endcap.serving.redis_store import RedisStore
    from endcap.serving.segment_store import SegmentStore
    from endcap.streams.contact_records import contacts_of
    from endcap.streams.conversation_records import conversations_of
    from endcap.streams.person import find_person

    store, segments = RedisStore(settings.store), SegmentStore(settings.store)
    try:
        person = await find_person(settings.broker, settings.topics, user_id)
        said = await conversations_of(settings.broker, settings.topics, person.ids)
        contacts = await contacts_of(settings.broker, settings.topics, person.ids)
        ready = await store.read(user_id)
        segment = await segments.segment(user_id)
    finally:
        await store.close()
        await segments.close()
    session = person.snapshot.session if person.snapshot else None
    letters = [
        {
            "letter": letter.name,
            "reason": letter.reason,
            "value": (letter.value or b"").decode(errors="replace"),
        }
        for letter in person.letters
    ]
    return {
        "user_id": user_id,
        "devices": list(person.devices),
        "session": msgspec.structs.asdict(session) | _rows(session) if session else None,
        "cart": list(session.cart) if session else [],
        "raw_events": [raw.decode(errors="replace") for raw in person.events],
        "dead_letters": letters,
        "conversations": said,
        "contacts": contacts,
        "list": msgspec.to_builtins(ready) if ready else None,
        "segment": msgspec.to_builtins(segment) if segment else None,
    }


def _rows(session: Any) -> dict[str, list[dict[str, Any]]]:
    """The session's collections with the names of their fields."""
    names = ("interactions", "carted", "purchased")
    return {name: [msgspec.structs.asdict(x) for x in getattr(session, name)] for name in names}


async def _erase(settings: Settings, user_id: str, purge: bool, timeout_s: float) -> dict[str, Any]:
    """Ask, wait for the receipts, and purge where that is wanted.

    1. Look up the devices: afterwards nobody knows them.
    2. Write the request; wait until every keeper has answered.
    3. Delete raw events, once the worker has folded all that was there.
    """
    from endcap.streams.person import (
        end_of_events,
        find_person,
        purge_events,
        receipts_of,
        request_erasure,
        still_missing,
    )

    broker, topics = settings.broker, settings.topics
    ids = (await find_person(broker, topics, user_id)).ids
    request_id = uuid4().hex[:12]
    await request_erasure(broker, topics, user_id, request_id)
    deadline = time.monotonic() + timeout_s
    with screen.status("Waiting for the receipts") if sys.stderr.isatty() else nullcontext():
        while True:
            receipts = await receipts_of(broker, topics, request_id)
            missing = still_missing(receipts, request_id)
            if not missing or time.monotonic() > deadline:
                break
            await asyncio.sleep(_LOOK_S)
        purged = None
        if purge and not missing:
            ends = await end_of_events(broker, topics, ids)
            while purged is None and time.monotonic() < deadline:
                purged = await purge_events(broker, settings.stream_group, ends)
                if purged is None:
                    await asyncio.sleep(_LOOK_S)
            missing = missing if purged is not None else {"events"}
    found = _told(request_id, receipts, missing)
    if purged is not None:
        found["raw_events_deleted"] = sum(purged.values())
    elif settings.events_retention_days:
        found["raw_events_gone_after_days"] = settings.events_retention_days
    return found


def _told(request_id: str, receipts: list[Any], missing: set[str]) -> dict[str, Any]:
    removed: dict[str, int] = {}
    for each in receipts:
        for what, count in each.removed.items():
            removed[what] = removed.get(what, 0) + count
    return {
        "request_id": request_id,
        "removed": removed,
        "receipts": [msgspec.structs.asdict(each) for each in receipts],
        "missing": sorted(missing),
    }
