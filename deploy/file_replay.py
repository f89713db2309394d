"""`endcap replay`: the rows of a file into the events topic, every row accounted for."""

import asyncio
import csv
import gzip
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from endcap.adapters import Adapter, Decoder, translate
from endcap.errors import ConsentDeniedError, DataError, InvalidEventError
from endcap.streams.clients import started_producer, stop_producer
from endcap.streams.dead_letters import letter_record
from endcap.topics import Topics

_IN_FLIGHT = 5_000


class Row(NamedTuple):
    """A row as a record: what a dead letter is made of. `offset` counts from 0."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


async def replay_file(
    path: Path,
    decode: Decoder,
    adapt: Adapter,
    bootstrap_servers: str,
    topics: Topics,
    rate: float | None,
    skip: int,
    progress: Callable[[int], None],
) -> dict[str, Any]:
    """Send each row that is an event; one that is refused becomes a dead letter of this file.

    `rate`: events a second; None: as fast as the broker takes them. `skip`: rows sent before.
    Returns `rows`, of which `sent`, `ignored` (not about shopping), `consent_denied` and
    `refused` by reason.

    Raises:
        DataError: the file cannot be read as CSV or JSON lines.
        BrokerUnavailableError: no broker answers.
    """
    producer = await started_producer(bootstrap_servers)
    sums: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    waiting: list[Awaitable[Any]] = []
    started = time.monotonic()
    try:
        for row in read_rows(path, skip):
            sums["rows"] += 1
            try:
                event = translate(row.value, decode, adapt, int(time.time() * 1000))
            except ConsentDeniedError:
                sums["consent_denied"] += 1
            except InvalidEventError as error:
                refused[error.reason] += 1
                key, value, headers = letter_record(row, error)
                waiting.append(
                    await producer.send(topics.dead_letters.name, value, key, headers=headers)
                )
            else:
                if event is None:
                    sums["ignored"] += 1
                    continue
                waiting.append(
                    await producer.send(topics.events.name, event.encoded, event.home.encode())
                )
                sums["sent"] += 1
            if len(waiting) >= _IN_FLIGHT or (rate and len(waiting) >= rate / 50):
                await asyncio.gather(*waiting)
                waiting.clear()
                progress(row.offset + 1)
                if rate:
                    await asyncio.sleep(started + sums["rows"] / rate - time.monotonic())
        await asyncio.gather(*waiting)
    finally:
        await stop_producer(producer)
    return {
        "rows": sums["rows"],
        "sent": sums["sent"],
        "ignored": sums["ignored"],
        "consent_denied": sums["consent_denied"],
        "refused": dict(refused),
    }


def read_rows(path: Path, skip: int = 0) -> Iterator[Row]:
    """CSV with a header, or JSON lines, gzipped or not: each row as a JSON object.

    Raises:
        DataError: the file is not there, or not of this kind.
    """
    kind = path.suffixes[-2] if path.suffix == ".gz" and len(path.suffixes) > 1 else path.suffix
    if kind not in {".csv", ".jsonl", ".ndjson", ".json"}:
        raise DataError(f"{path} is neither .csv nor .jsonl (each may be gzipped: .csv.gz).")
    try:
        with _opened(path) as lines:
            values = (
                _csv_values(lines, path)
                if kind == ".csv"
                else (line.strip().encode() for line in lines)
            )
            for number, value in enumerate(values):
                if number >= skip:
                    yield Row(path.name, 0, number, None, value)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _csv_values(lines: IO[str], path: Path) -> Iterator[bytes]:
    rows = csv.reader(lines)
    header = next(rows, None)
    if header is None:
        raise DataError(f"{path} is empty; the first line must name the columns.")
    for row in rows:
        if len(row) == len(header):
            yield msgspec.json.encode(dict(zip(header, row, strict=True)))
        else:  # the adapter refuses it, with its text in the dead letter
            yield ",".join(row).encode()
