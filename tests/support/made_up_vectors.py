"""Item vectors in clusters, and queries near them, the same at each run."""

import numpy as np
import numpy.typing as npt

from endcap.serving.retrieval import ItemTable


def made_up_table(items: int, dim: int = 64) -> npt.NDArray[np.float32]:
    """[items + 1, dim] of length 1 around 150 centres; row 0 is padding."""
    rng = np.random.default_rng(7)
    centres = _normalised(rng.standard_normal((150, dim), dtype=np.float32))
    noise = rng.standard_normal((items, dim), dtype=np.float32) * np.float32(0.1)
    vectors = _normalised(centres[rng.integers(0, 150, items)] + noise)
    return np.concatenate([np.zeros((1, dim), dtype=np.float32), vectors])


def made_up_queries(table: ItemTable, count: int, seed: int) -> npt.NDArray[np.float32]:
    """[count, dim], each between two items."""
    rng = np.random.default_rng(seed)
    pairs = table.rows(rng.integers(1, table.items + 1, (count, 2)))
    return _normalised(pairs[:, 0] + np.float32(0.5) * pairs[:, 1])


def _normalised(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
