"""The index file: faiss's inverted lists with one byte a dimension, mapped into memory."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from endcap.arrays import FloatArray, LongArray
from endcap.errors import RuntimeConflictError
from endcap.serving.retrieval.clusters import Progress
from endcap.serving.retrieval.table import ItemTable

_SHARD = 250_000
_TRAINED_ON = 50_000


def faiss_module() -> ModuleType:
    """faiss, which is an extra.

    Raises:
        RuntimeConflictError: it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise RuntimeConflictError(
            "faiss is not installed, and so large a catalogue needs it: "
            "pip install '.[retrieval]' in a clone."
        ) from error
    module: ModuleType = faiss
    return module


def write_codes(
    table: ItemTable, centres: FloatArray, clusters: LongArray, path: Path, progress: Progress
) -> None:
    """Code each item's difference from its centre and write the lists.

    Args:
        clusters: [V]: the number of each item's centre.
    """
    faiss = faiss_module()
    quantizer = faiss.IndexFlatIP(table.dim)
    quantizer.add(centres)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer,
        table.dim,
        len(centres),
        faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
    )
    rows = np.linspace(1, table.items, min(_TRAINED_ON, table.items)).astype(np.int64)
    index.train(np.ascontiguousarray(table.rows(rows)))
    for first, tile in table.tiles(_SHARD):
        vectors = np.ascontiguousarray(tile)
        ids = np.arange(first, first + len(tile), dtype=np.int64)
        own = np.ascontiguousarray(clusters[first - 1 : first - 1 + len(tile)])
        pointers = (faiss.swig_ptr(vectors), faiss.swig_ptr(ids), faiss.swig_ptr(own))
        index.add_core(len(tile), *pointers)
        progress("Writing codes", first - 1 + len(tile), table.items)
    part = path.with_name(path.name + ".part")
    faiss.write_index(index, str(part))
    part.replace(path)


def map_codes(path: Path, threads: int) -> Any:
    """The lists mapped from the file; pages come as they are asked for.

    `threads`: of faiss in this process.
    """
    faiss = faiss_module()
    faiss.omp_set_num_threads(threads)
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
