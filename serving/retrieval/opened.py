"""Which retriever a table gets: a rule chosen by measurement, in one place."""

from pathlib import Path

from endcap.arrays import FloatArray
from endcap.serving import metrics
from endcap.serving.retrieval.approximate import ApproximateRetriever
from endcap.serving.retrieval.clusters import Progress
from endcap.serving.retrieval.exact import ExactRetriever
from endcap.serving.retrieval.index_folder import build_index, index_folder
from endcap.serving.retrieval.retriever import Retriever
from endcap.serving.retrieval.table import ItemTable

EXACT_UP_TO = 250_000
"""Items. So many a core multiplies at a thousand queries a second in batches of 32, which is
twice what an index is asked for by ETUDE at four times as many; and the answer is exact."""


def open_retriever(
    table: ItemTable,
    cache_dir: Path,
    queries: FloatArray,
    progress: Progress,
    threads: int = 1,
    exact_up_to: int = EXACT_UP_TO,
) -> Retriever:
    """The exact product for up to `exact_up_to` items, above that an index.

    The index is built where `cache_dir` has none of this table: minutes for ten million items. A
    build that was cut off goes on where it was.

    Args:
        queries: [Q, d], some hundreds that shoppers would ask: the index is judged by them.
        threads: of one call.

    Raises:
        DataError: the index there was changed, or cannot be written.
        RuntimeConflictError: an index is needed and faiss is not installed.
    """
    metrics.RETRIEVAL_ITEMS.set(table.items)
    if table.items <= exact_up_to:
        metrics.RETRIEVAL_RECALL.set(1.0)
        return ExactRetriever(table, threads)
    folder = index_folder(cache_dir, table)
    build_index(table, folder, queries, progress)
    return ApproximateRetriever(table, folder, threads)
