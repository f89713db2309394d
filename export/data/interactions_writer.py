"""`Interactions` made piece by piece, in memory or as memory-mapped files."""

from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from endcap.export.data.interactions import Interactions, LongArray

_DTYPES = {"items": "<i4", "types": "|i1", "times_ms": "<i8", "sessions": "<i4"}


class InteractionsWriter:
    """Takes events sequence by sequence; `folder` None keeps them in memory, else they become
    `items.npy` and so on there, readable by `numpy.load`."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._counts: list[LongArray] = []
        self._columns: dict[str, _Column] = {
            name: _InMemory(dtype) if folder is None else _OnDisk(folder / f"{name}.npy", dtype)
            for name, dtype in _DTYPES.items()
        }

    def append(self, events: Interactions) -> None:
        """The next sequences, all of their events."""
        self._counts.append(np.diff(events.offsets))
        for name, column in self._columns.items():
            column.append(getattr(events, name))

    def finish(self) -> Interactions:
        """All that was appended; what is on disk is opened read-only."""
        counts = np.concatenate([[0], *self._counts])
        columns = {name: column.finish() for name, column in self._columns.items()}
        return Interactions(np.cumsum(counts).astype(np.int64), **columns)


class _Column(Protocol):
    def append(self, values: npt.NDArray[Any]) -> None: ...

    def finish(self) -> npt.NDArray[Any]: ...


class _InMemory:
    def __init__(self, dtype: str) -> None:
        self._parts: list[npt.NDArray[Any]] = [np.empty(0, dtype)]
        self._dtype = dtype

    def append(self, values: npt.NDArray[Any]) -> None:
        self._parts.append(values.astype(self._dtype, copy=False))

    def finish(self) -> npt.NDArray[Any]:
        # One part is not copied: most data sets are one.
        filled = [part for part in self._parts if part.size] or self._parts[:1]
        return filled[0] if len(filled) == 1 else np.concatenate(filled)


class _OnDisk:
    """A `.npy` file whose length is known when all is written: NumPy's header has room for it."""

    def __init__(self, path: Path, dtype: str) -> None:
        self._path = path
        self._dtype = np.dtype(dtype)
        self._size = 0
        # A new file, not the old one emptied: who still maps that one would be killed by SIGBUS.
        path.unlink(missing_ok=True)
        with path.open("xb") as file:
            self._write_header(file)

    def append(self, values: npt.NDArray[Any]) -> None:
        with self._path.open("ab") as file:
            values.astype(self._dtype, copy=False).tofile(file)
        self._size += values.size

    def finish(self) -> npt.NDArray[Any]:
        with self._path.open("r+b") as file:
            self._write_header(file)
        if not self._size:
            return np.empty(0, self._dtype)  # an empty file cannot be mapped
        mapped: npt.NDArray[Any] = np.load(self._path, mmap_mode="r")
        return mapped

    def _write_header(self, file: BinaryIO) -> None:
        form = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._size,),
        }
        np.lib.format.write_array_header_1_0(file, form)
