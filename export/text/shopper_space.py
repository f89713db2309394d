"""Items and shoppers in one space, by a truncated SVD of who bought what: quick, and no network."""

from typing import NamedTuple

import numpy as np
import torch

from endcap.arrays import FloatArray
from endcap.export.data.interactions import Cases, Interactions

_DIM = 64
_COMMON = 0.25
"""Columns are divided by their count to this power: at 0 the most popular items fill all axes."""
_RECENT = 100


class ShopperSpace(NamedTuple):
    """`items` [V+1, d]: what is scored; `shown` [V+1, d]: what an item says of who bought it. A
    shopper's score of an item is its vector times the mean of `shown` over the newest history."""

    items: FloatArray
    shown: FloatArray

    def shoppers(self, cases: Cases) -> FloatArray:
        """A vector for each question [n, d]."""
        starts = np.maximum(cases.starts(), cases.ends - _RECENT)
        bag = torch.nn.functional.embedding_bag
        histories = [
            torch.from_numpy(cases.interactions.items[start:end].astype(np.int64))
            for start, end in zip(starts, cases.ends, strict=True)
        ]
        ends = np.cumsum([len(history) for history in histories])
        begins = torch.from_numpy(np.concatenate([[0], ends[:-1]]))
        made = bag(torch.cat(histories), torch.from_numpy(self.shown), begins, mode="mean")
        return np.asarray(made.numpy(), dtype=np.float32)


def svd_space(known: Interactions, n_items: int, seed: int) -> ShopperSpace:
    """The space of the log counts of each shopper's items (randomised SVD, Halko et al. 2011)."""
    shoppers = np.repeat(np.arange(known.n_sequences), np.diff(known.offsets))
    kept = known.items > 0
    cells, counts = np.unique(
        shoppers[kept] * (n_items + 1) + known.items[kept], return_counts=True
    )
    rows, columns = cells // (n_items + 1), cells % (n_items + 1)
    values = np.log1p(counts)
    of_shopper = np.bincount(rows, values, known.n_sequences).clip(1.0)
    of_item = np.bincount(columns, values, n_items + 1).clip(1.0)
    values = values * of_shopper[rows] ** -0.5 * of_item[columns] ** -_COMMON
    matrix = torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([rows, columns])),
        torch.from_numpy(values.astype(np.float32)),
        (known.n_sequences, n_items + 1),
        check_invariants=True,
    )
    torch.manual_seed(seed)
    _, strengths, axes = torch.svd_lowrank(matrix, q=_DIM, niter=4)
    shown = np.asarray(axes.numpy(), dtype=np.float32)
    return ShopperSpace(shown * strengths.numpy(), shown)
