"""Where the public data sets lie that are not part of this repository."""

import os
from pathlib import Path

import pytest

DATA = Path(
    os.environ.get("ENDCAP_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data"
)


def real_set(name: str) -> Path:
    """The path, or the test is skipped by this name."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there; set ENDCAP_DATA to the folder of the data sets")
    return path
