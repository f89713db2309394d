"""Whether a file would run code when it is loaded: what Python pickled, alone or inside.

A pickle is a program (https://docs.python.org/3/library/pickle.html). Nothing of endcap reads one,
and a folder that has one was not made by it, or not by it alone.
"""

import ast
import pickletools
import warnings
import zipfile
from pathlib import Path
from typing import IO

_SUFFIXES = frozenset({".pkl", ".pickle", ".pt", ".pth", ".joblib", ".ckpt"})
_PROTOCOLS = {b"\x80" + bytes([number]) for number in range(2, 6)}
_CALLS = frozenset({"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE"})
"""What names or calls something of Python's."""
_NPY = b"\x93NUMPY"
_HEADER = 4096


def pickled_in(path: Path) -> str | None:
    """What is pickled there, in words; None: nothing."""
    if path.suffix in _SUFFIXES:
        return f"a file of a kind that is pickled ({path.suffix})"
    with path.open("rb") as file:
        if kind := _kind_of(file):
            return kind
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if Path(name).suffix in _SUFFIXES:
                return f"a pickle ({name})"
            with archive.open(name) as member:
                if kind := _kind_of(member):
                    return f"{kind} ({name})"
    return None


def _kind_of(file: IO[bytes]) -> str | None:
    head = file.read(_HEADER)
    file.seek(0)
    if head[:2] in _PROTOCOLS or _is_program(file):
        return "a pickle"
    return "an array of Python objects" if _has_objects(head) else None


def _is_program(file: IO[bytes]) -> bool:
    """Of protocols 0 and 1, which have no mark at their beginning: instructions up to their end,
    one of which calls something. Nothing is run; another file ends at its first few bytes."""
    calls = False
    with warnings.catch_warnings():
        # What is no pickle may hold what reads as a badly escaped text.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            for opcode, _, _ in pickletools.genops(file):
                calls = calls or opcode.name in _CALLS
        except ValueError:
            return False
    return calls


def _has_objects(head: bytes) -> bool:
    """Of a .npy (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html)."""
    if not head.startswith(_NPY):
        return False
    start, width = (10, 2) if head[6] == 1 else (12, 4)
    size = int.from_bytes(head[8 : 8 + width], "little")
    try:
        told = ast.literal_eval(head[start : start + size].decode("latin1").strip())
        return "O" in str(told["descr"])
    except (SyntaxError, ValueError, KeyError, TypeError):
        return True  # a header that numpy did not write
