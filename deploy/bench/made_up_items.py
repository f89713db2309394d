"""Tables of as many items as asked for, made up around the vectors of a trained one."""

from pathlib import Path

import numpy as np
import xxhash

from endcap.arrays import FloatArray
from endcap.serving.retrieval import ItemTable, open_table
from endcap.serving.retrieval.clusters import Progress

_SHARD = 250_000


def make_table(
    real: FloatArray, items: int, noise: float, folder: Path, progress: Progress
) -> ItemTable:
    """A memory-mapped table: the real items' first rows where there are enough of them, else each
    item near a real one.

    An item is a real item drawn at random, plus a random vector of length `noise` (in the mean),
    normalised: the clusters are those of what was trained, finer by as much as there are more
    items. Independent directions would have no neighbours at all, copies nothing but neighbours.
    Made-up tables are float16, and kept in `folder`.

    Args:
        real: [V + 1, d], row 0 padding.
    """
    folder.mkdir(parents=True, exist_ok=True)
    of = xxhash.xxh3_64_hexdigest(np.ascontiguousarray(real).tobytes())
    if items < len(real):
        path = folder / f"{of}-{items}.npy"
        np.save(path, real[: items + 1])
        return open_table(path)
    path = folder / f"{of}-{items}-{noise}.npy"
    if not path.exists():
        _write(real, items, noise, path.with_suffix(".part"), progress)
        path.with_suffix(".part").replace(path)
    return open_table(path)


def _write(real: FloatArray, items: int, noise: float, path: Path, progress: Progress) -> None:
    dim = real.shape[1]
    table = np.lib.format.open_memmap(path, "w+", np.float16, (items + 1, dim))
    for first in range(1, items + 1, _SHARD):
        rng = np.random.default_rng((items, first))
        count = min(_SHARD, items + 1 - first)
        rows = real[rng.integers(1, len(real), count)]
        rows += rng.standard_normal((count, dim), dtype=np.float32) * np.float32(
            noise / np.sqrt(dim)
        )
        table[first : first + count] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        progress(f"Making up {items:,} items", first - 1 + count, items)
    table.flush()
