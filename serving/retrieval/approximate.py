"""The nearest of millions: the lists of the nearest clusters, then exact scores of the best."""

import logging
from pathlib import Path

import numpy as np

from endcap.arrays import FloatArray, LongArray
from endcap.serving import metrics
from endcap.serving.retrieval.codes import map_codes
from endcap.serving.retrieval.exact import ExactRetriever
from endcap.serving.retrieval.index_folder import Sample, verify_index
from endcap.serving.retrieval.retriever import Found, by_score, check_question
from endcap.serving.retrieval.scan import recall
from endcap.serving.retrieval.table import ItemTable

log = logging.getLogger(__name__)

RECALL_ASKED = 0.98
_PROBES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
_MORE = 0.5
"""A byte a dimension confuses neighbours: half as many again are scored exactly."""


class ApproximateRetriever:
    """An inverted file over the clusters of a table, mapped from disk.

    `probes` lists are read for each query: the fewest by which the sample's recall reaches
    `RECALL_ASKED`, measured when the index is opened. `recall` is what they reached.
    """

    def __init__(self, table: ItemTable, folder: Path, threads: int = 1) -> None:
        """
        Raises:
            DataError: the index is incomplete, was changed, or is of another table.
            RuntimeConflictError: faiss is not installed.
        """
        sample = verify_index(table, folder)
        self._table = table
        self._index = map_codes(folder / "index.faiss", threads)
        centres: FloatArray = np.load(folder / "centres.npy", allow_pickle=False)
        padding = np.zeros((1, table.dim), dtype=np.float32)
        self._centres = ExactRetriever(ItemTable(np.concatenate([padding, centres])), threads)
        self.probes, self.recall = self._fewest_probes(sample)
        metrics.RETRIEVAL_RECALL.set(self.recall)
        log.info(
            "%d items: %d of %d lists are read for each query, recall %.3f of the exact answer",
            table.items,
            self.probes,
            self._centres.items,
            self.recall,
        )
        if self.recall < RECALL_ASKED:
            log.warning(
                "The index finds %.3f of the exact answer, less than %.2f, with the most lists "
                "that it may read.",
                self.recall,
                RECALL_ASKED,
            )

    @property
    def items(self) -> int:
        """V."""
        return self._table.items

    def find(self, queries: FloatArray, k: int) -> Found:
        """See `Retriever.find`; what is not in the lists read is missed.

        Where these hold too few items, all lists are read.
        """
        check_question(queries, k, self.items, self._table.dim)
        if not len(queries):
            return Found(np.zeros((0, k), np.int64), np.zeros((0, k), np.float32))
        wanted = min(self.items, k + int(k * _MORE))
        ids = self._listed(queries, wanted, self.probes)
        short = (ids < 1).any(axis=1)
        if short.any():
            ids[short] = self._listed(queries[short], wanted, self._centres.items)
        return self._scored_exactly(queries, ids, k)

    def _listed(self, queries: FloatArray, k: int, probes: int) -> LongArray:
        nearest = self._centres.find(queries, min(probes, self._centres.items))
        self._index.nprobe = nearest.ids.shape[1]
        _, ids = self._index.search_preassigned(queries, k, nearest.ids - 1, nearest.scores)
        found: LongArray = ids
        return found

    def _scored_exactly(self, queries: FloatArray, ids: LongArray, k: int) -> Found:
        scores = np.matmul(self._table.rows(ids), queries[:, :, None])[:, :, 0]
        return by_score(ids, scores, k)

    def _fewest_probes(self, sample: Sample) -> tuple[int, float]:
        probes, reached = 1, 0.0
        for probes in sorted({min(p, self._centres.items) for p in _PROBES}):
            self.probes = probes
            found = self.find(sample.queries, sample.exact.shape[1])
            reached = recall(found.ids, sample.exact)
            if reached >= RECALL_ASKED:
                break
        return probes, reached
