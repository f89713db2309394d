"""What an opponent answered, on disk: an evaluation that is called again does not tune it anew."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from endcap import __version__
from endcap.arrays import IntArray
from endcap.export.data.interactions import Split
from endcap.export.fingerprint import add_arrays
from endcap.export.opponents.tuning import Budget, Tuned, opponent_named


class KeptSlates(NamedTuple):
    """A folder with a file for each opponent. `of`: what must be equal for its answers to stand."""

    folder: Path
    of: str

    def find(self, name: str) -> IntArray | None:
        """Slates of the test [n, 20], where the opponent `name` was tuned for just this."""
        path = self._path(name)
        if not path.exists():
            return None
        with np.load(path) as held:
            if str(held["of"]) != self._of(name):
                return None
            slates: IntArray = held["slates"]
        return slates

    def store(self, tuned: Tuned, slates: IntArray) -> None:
        """Replace the file in one act; the trials stand in it for people."""
        path = self._path(tuned.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        trials = msgspec.json.encode([trial._asdict() for trial in tuned.trials]).decode()
        with unfinished.open("wb") as opened:
            np.savez_compressed(opened, of=self._of(tuned.name), slates=slates, trials=trials)
        os.replace(unfinished, path)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"

    def _of(self, name: str) -> str:
        grid = msgspec.json.encode(opponent_named(name).grid).decode()
        return f"{self.of} {name} {grid}"


def kept_slates(folder: Path, split: Split, n_items: int, budget: Budget, seed: int) -> KeptSlates:
    """Of this split, budget and seed, by this version of endcap."""
    digest = hashlib.sha256()
    for events in (split.train, split.known):
        add_arrays(digest, events)
    for cases in (split.validation, split.test):
        add_arrays(digest, (*cases.interactions, *cases[1:]))
    settings = msgspec.json.encode([__version__, n_items, budget, seed]).decode()
    return KeptSlates(folder, f"{digest.hexdigest()} {settings}")
