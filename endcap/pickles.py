"""Whether a file would run code when it is loaded: what Python pickled, alone or inside.

A pickle is a program (https://docs.python.org/3/library/pickle.html). Nothing of endcap reads one,
and a folder that has one was not made by it, or not by it alone.
"""

import ast
import zipfile
from pathlib import Path

_SUFFIXES = frozenset({".pkl", ".pickle", ".pt", ".pth", ".joblib", ".ckpt"})
_PROTOCOLS = {b"\x80" + bytes([number]) for number in range(2, 6)}
_NPY = b"\x93NUMPY"
_HEADER = 4096


def pickled_in(path: Path) -> str | None:
    """What is pickled there, in words; None: nothing."""
    if path.suffix in _SUFFIXES:
        return f"a file of a kind that is pickled ({path.suffix})"
    with path.open("rb") as file:
        head = file.read(_HEADER)
    if head[:2] in _PROTOCOLS:
        return "a pickle"
    if _has_objects(head):
        return "an array of Python objects"
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if Path(name).suffix in _SUFFIXES:
                return f"a pickle ({name})"
            with archive.open(name) as member:
                start = member.read(_HEADER)
            if start[:2] in _PROTOCOLS:
                return f"a pickle ({name})"
            if _has_objects(start):
                return f"an array of Python objects ({name})"
    return None


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
