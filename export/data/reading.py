"""Any of the data sets that endcap reads, and the protocol that goes with its format."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from endcap.errors import DataError
from endcap.export.data.baskets import read_completejourney
from endcap.export.data.events_file import EventForm, read_events
from endcap.export.data.interactions import Cuts, DataSet
from endcap.export.data.s3rec import read_s3rec
from endcap.export.data.sr_gnn import read_sr_gnn
from endcap.export.fingerprint import add_arrays
from endcap.near_names import did_you_mean

PROTOCOLS_OF = {
    "events": ("time", "leave-one-out"),
    "completejourney": ("time", "leave-one-out"),
    "sr-gnn": ("next-item",),
    "s3rec": ("leave-one-out",),
}
"""By the format; the first is its default. What says no times cannot be split by them."""

FORMATS = tuple(PROTOCOLS_OF)


def read(path: Path, format_: str, form: EventForm, folder: Path) -> DataSet:
    """Read `path`. `form` is for events files alone; `folder` takes what does not fit into memory.
    Complete Journey is an installed package: its `path` is not looked at.

    Raises:
        DataError: an unknown format, or what is there has another.
    """
    _refuse_unknown(format_)
    if format_ != "events" and form != EventForm():
        raise DataError(
            f"The format {format_} has its own columns: --column, --event-type, --items and "
            "--items-column belong to events files."
        )
    match format_:
        case "sr-gnn":
            data = read_sr_gnn(path)
        case "s3rec":
            data = read_s3rec(path)
        case "completejourney":
            data = read_completejourney()
        case _:
            data = read_events(path, form, folder)
    return data._replace(facts={**data.facts, "sha256": _fingerprint(data)})


def protocol_for(format_: str, protocol: str | None) -> str:
    """The protocol asked for, or the format's own where none is.

    Raises:
        DataError: the format cannot serve it, or there is none of that name.
    """
    _refuse_unknown(format_)
    served = PROTOCOLS_OF[format_]
    if protocol is None:
        return served[0]
    if protocol not in served:
        raise DataError(
            f"Data of the format {format_} cannot be split by {protocol}; use "
            f"--protocol {' or '.join(served)}."
        )
    return protocol


def cuts_at(validation_from: datetime | None, test_from: datetime | None) -> Cuts | None:
    """The dates that a person gave for `time`; without a zone they are UTC.

    Raises:
        DataError: one of them alone.
    """
    if validation_from is None and test_from is None:
        return None
    if validation_from is None or test_from is None:
        raise DataError("Give both --validation-from and --test-from, or neither.")
    moments = [
        moment.replace(tzinfo=moment.tzinfo or UTC) for moment in (validation_from, test_from)
    ]
    return Cuts(*(int(moment.timestamp() * 1000) for moment in moments))


def _refuse_unknown(format_: str) -> None:
    if format_ not in FORMATS:
        near = did_you_mean(format_, FORMATS)
        raise DataError(f"There is no format {format_!r}.{near} Known: {', '.join(FORMATS)}.")


def _fingerprint(data: DataSet) -> str:
    """Of who did what to what and when, so that a model says what it was trained on."""
    digest = hashlib.sha256()
    add_arrays(digest, data.interactions)
    for names in (data.sequence_ids, (item.item_id for item in data.items)):
        digest.update("\n".join(names).encode())
    return digest.hexdigest()
