"""The item table as a memory-mapped .npy: rescoring and retrieval read the same pages."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from endcap.arrays import FloatArray, LongArray
from endcap.errors import DataError

_SAMPLED_ROWS = 4096

Vectors = npt.NDArray[np.float32] | npt.NDArray[np.float16]


class ItemTable(NamedTuple):
    """`vectors` [V + 1, d], float32 or float16, of length 1 each; row 0 is padding."""

    vectors: Vectors

    @property
    def items(self) -> int:
        """V."""
        return len(self.vectors) - 1

    @property
    def dim(self) -> int:
        """d."""
        return int(self.vectors.shape[1])

    def rows(self, ids: LongArray) -> FloatArray:
        """The vectors of these items [..., d]."""
        return self.vectors[ids].astype(np.float32, copy=False)

    def tiles(self, size: int) -> Iterator[tuple[int, FloatArray]]:
        """All items, `size` at a time: the index of the first, and the vectors."""
        for first in range(1, len(self.vectors), size):
            yield first, self.vectors[first : first + size].astype(np.float32, copy=False)

    def fingerprint(self) -> str:
        """Of the shape, the type and 4,096 rows spread evenly: a table trained anew differs in
        every row, so that ten million need not be read."""
        rows = np.linspace(0, self.items, _SAMPLED_ROWS).astype(np.int64)
        digest = xxhash.xxh3_128(f"{self.vectors.shape} {self.vectors.dtype}".encode())
        digest.update(self.vectors[rows].tobytes())
        return digest.hexdigest()


def open_table(path: Path) -> ItemTable:
    """Map a table; nothing is read before it is asked for.

    Raises:
        DataError: it is no .npy file, is cut short, or holds no item vectors.
    """
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be mapped as a table of item vectors ({error}). It was cut short or is "
            "no .npy file: copy it again from where it was made."
        ) from error
    if vectors.ndim != 2 or vectors.dtype not in (np.float32, np.float16) or len(vectors) < 2:
        raise DataError(
            f"{path} holds {vectors.dtype} of shape {vectors.shape}; a table of item vectors is "
            "float32 or float16 [V + 1, d] with padding in row 0."
        )
    return ItemTable(vectors)
