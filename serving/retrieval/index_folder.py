"""An index in a folder: built in stages, each kept, so that a build that was cut off goes on.

Files: `centres.npy` [clusters, d] float32; `clusters.npy` [V] int32, each item's, until the codes
are written; `index.faiss`, the 8-bit codes list by list; `sample.npz`, questions with their exact
answers; `index.json`, written last, with the hash of the others. The exact vectors stay in the
table.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import xxhash

from endcap.arrays import FloatArray, LongArray
from endcap.errors import DataError
from endcap.serving.retrieval.clusters import (
    NearestCentre,
    Progress,
    cluster_count,
    find_centres,
    training_rows,
)
from endcap.serving.retrieval.codes import write_codes
from endcap.serving.retrieval.scan import scan
from endcap.serving.retrieval.table import ItemTable

SAMPLE_K = 100
_SCHEMA = 1
_SHARD = 250_000
_FILES = ("centres.npy", "index.faiss", "sample.npz")


class About(msgspec.Struct, frozen=True):
    """`index.json`: which table the index is of, and the hash of each file."""

    schema: int
    items: int
    table: str
    files: dict[str, str]


class Sample(NamedTuple):
    """`queries` [Q, d] and the ids [Q, k] of the items nearest to each, exactly."""

    queries: FloatArray
    exact: LongArray


def index_folder(cache_dir: Path, table: ItemTable) -> Path:
    """Where the index of this table is kept."""
    return cache_dir / "retrieval" / table.fingerprint()


def build_index(table: ItemTable, folder: Path, queries: FloatArray, progress: Progress) -> None:
    """Build what is missing of the index; where all is there, nothing is done.

    1. Find the clusters' centres on a sample of the table.
    2. Give each item its cluster, a quarter of a million at a time.
    3. Write the items' codes, cluster by cluster.
    4. Find the exact answers to `queries` [Q, d], by which the index is judged each time it is
       opened: give some hundreds that shoppers would ask.
    5. Hash the files; from then on the index is complete.

    Raises:
        DataError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "index.json").exists():
            return
        centres = _centres(table, folder, progress)
        clusters = _clusters(table, folder, centres, progress)
        if not (folder / "index.faiss").exists():
            write_codes(table, centres, clusters, folder / "index.faiss", progress)
        k = min(SAMPLE_K, table.items)
        exact = scan(table, queries, k, progress).ids
        with _replacing(folder / "sample.npz") as part, part.open("wb") as file:
            np.savez(file, queries=queries, exact=exact)
        about = About(
            _SCHEMA, table.items, table.fingerprint(), {n: _hash(folder / n) for n in _FILES}
        )
        with _replacing(folder / "index.json") as part:
            part.write_bytes(msgspec.json.encode(about))
        (folder / "clusters.npy").unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"The index of {table.items} items cannot be written into {folder} "
            f"({error.strerror}). Set ENDCAP_CACHE_DIR to a folder with room."
        ) from error


def verify_index(table: ItemTable, folder: Path) -> Sample:
    """Refuse an index that is incomplete, was changed, or is of another table.

    Raises:
        DataError: the message says what to do.
    """
    remedy = f"Remove {folder}: the index is built anew at the next start."
    try:
        about = msgspec.json.decode((folder / "index.json").read_bytes(), type=About)
        if about.schema != _SCHEMA:
            raise DataError(f"The index in {folder} is of another version of endcap. {remedy}")
        if about.items != table.items or about.table != table.fingerprint():
            raise DataError(
                f"The index in {folder} is of another table ({about.items} items; this one has "
                f"{table.items}). {remedy}"
            )
        for name, digest in about.files.items():
            if _hash(folder / name) != digest:
                raise DataError(
                    f"{folder / name} is not as it was written: it was changed or cut short. "
                    f"{remedy}"
                )
        with np.load(folder / "sample.npz", allow_pickle=False) as sample:
            return Sample(sample["queries"], sample["exact"])
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"The index in {folder} cannot be read ({error}). {remedy}") from error


def _centres(table: ItemTable, folder: Path, progress: Progress) -> FloatArray:
    path = folder / "centres.npy"
    if path.exists():
        kept: FloatArray = np.load(path, allow_pickle=False)
        return kept
    rows = np.random.default_rng(1).choice(
        table.items, training_rows(table.items), replace=False, shuffle=False
    )
    vectors = table.rows(np.sort(rows) + 1)
    centres = find_centres(vectors, cluster_count(table.items), progress)
    with _replacing(path) as part, part.open("wb") as file:
        np.save(file, centres)
    return centres


def _clusters(table: ItemTable, folder: Path, centres: FloatArray, progress: Progress) -> LongArray:
    """Shards are kept as they are done: 0 is what has no cluster yet."""
    path = folder / "clusters.npy"
    if not path.exists():
        with _replacing(path) as part, part.open("wb") as file:
            np.save(file, np.zeros(table.items, dtype=np.int32))
    numbers = np.load(path, mmap_mode="r+", allow_pickle=False)
    nearest = NearestCentre(centres)
    for first, tile in table.tiles(_SHARD):
        shard = numbers[first - 1 : first - 1 + len(tile)]
        if not shard.all():
            shard[:] = nearest.of(tile) + 1
            numbers.flush()
        progress("Giving items their cluster", first - 1 + len(tile), table.items)
    return np.asarray(numbers, dtype=np.int64) - 1


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file that is there in full or not at all."""
    part = path.with_name(path.name + ".part")
    yield part
    part.replace(path)


def _hash(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
