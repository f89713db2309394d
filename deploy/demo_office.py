"""What the demo's back office needs beside the shop: price evidence and segments, learned once.

Both take about a minute of a core. They are learned at the lowest priority after the storefront is
up, and kept for the next demo; other code that learns makes other files.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import endcap
import endcap.marketing
import endcap.pricing
from endcap.deploy.local_stack import default_cache_dir
from endcap.deploy.local_stack.supervised import Child, LocalStackError

_LONGEST_S = 900.0
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
"""Four threads of one polite process still push everybody else aside."""


class OfficeFiles(NamedTuple):
    """Where they lie, or will."""

    evidence: Path
    segments: Path


def office_files(cache_dir: Path | None) -> OfficeFiles:
    """In the cache, under names that change with the code that learns."""
    folder = (cache_dir or default_cache_dir().parent) / "office"
    return OfficeFiles(
        folder / f"prices-{_fingerprint(endcap.pricing.__file__)}.npz",
        folder / f"segments-{_fingerprint(endcap.marketing.__file__)}.json",
    )


async def prepare(
    files: OfficeFiles,
    endcap: Sequence[str],
    log_dir: Path,
    say: Callable[[str], None],
    follow: Callable[[], Awaitable[None]],
) -> None:
    """Learn what is missing. `endcap`: the command line; `follow`: starts what keeps segments up to
    date.

    1. Segments, which are the faster ones. 2. Follow them. 3. Price evidence.

    Where one of them cannot be learned, that is said, and the shop goes on without it.
    """
    try:
        await asyncio.to_thread(files.segments.parent.mkdir, parents=True, exist_ok=True)
        build = [*endcap, "segments", "build", "--out"]
        await _made("segments", files.segments, build, log_dir, say)
        await follow()
        learn = [*endcap, "price", "learn", "--out"]
        await _made("price evidence", files.evidence, learn, log_dir, say)
        say("The back office has its prices and segments")
    except (LocalStackError, OSError) as error:
        say(f"The back office stays without a part of its data. {error}")


async def _made(
    what: str, file: Path, command: Sequence[str], log_dir: Path, say: Callable[[str], None]
) -> None:
    """The file, whole or not at all."""
    if await asyncio.to_thread(file.exists):
        return
    say(f"Learning {what} for the back office, once: about a minute in the background")
    part = file.with_name(f"{os.getpid()}-{file.name}")
    log_file = log_dir / f"office-{file.stem}.log"
    environment = os.environ | _ONE_THREAD
    child = Child(f"learning {what}", [*command, str(part)], log_file, environment, nice=19)
    learning = asyncio.create_task(asyncio.to_thread(_learned, child, part, file))
    try:
        await asyncio.shield(learning)
    except asyncio.CancelledError:
        child.stop()  # the thread that waits for it must not outlive the demo
        with contextlib.suppress(LocalStackError):
            await learning
        raise


def _learned(child: Child, part: Path, file: Path) -> None:
    try:
        child.wait_for_success(_LONGEST_S)
        part.replace(file)
    finally:
        child.stop()
        part.unlink(missing_ok=True)


def _fingerprint(package: str) -> str:
    digest = hashlib.sha256()
    # Which products are goods is told outside of the rooms, for all of them.
    read_by_all = Path(endcap.__file__).parent / "completejourney.py"
    for path in [*sorted(Path(package).parent.glob("*.py")), read_by_all]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
