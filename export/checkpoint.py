"""Half-done training on disk: written whole or not at all, and gone on with only by its own."""

import os
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import torch

from endcap.errors import SettingsError
from endcap.export.encoder import SessionEncoder
from endcap.export.fit_state import Epoch, FitState, Part

EVERY_S = 60.0
"""Seconds between two checkpoints: what a killed run loses at most."""


class Checkpoint(NamedTuple):
    """Where it lies and what it is of: `of` says by name what must be equal to go on with it."""

    path: Path
    of: dict[str, str]
    every_s: float = EVERY_S

    def remove(self) -> None:
        """The training has ended, or is not wanted."""
        self.path.unlink(missing_ok=True)
        _unfinished(self.path).unlink(missing_ok=True)


class Halfway(NamedTuple):
    """The folder where half-done training lies, written every `every_s` seconds."""

    folder: Path
    every_s: float = EVERY_S

    def checkpoints(self, of: dict[str, str]) -> tuple[Checkpoint, Checkpoint, Checkpoint]:
        """Of the first fit, of the one for earlier questions, and of the one over all that is
        known."""
        names = ("checkpoint.pt", "checkpoint-earlier.pt", "checkpoint-refit.pt")
        first, earlier, last = (Checkpoint(self.folder / name, of, self.every_s) for name in names)
        return first, earlier, last

    def remove(self) -> None:
        """The bundle is whole."""
        for checkpoint in self.checkpoints({}):
            checkpoint.remove()


def store(
    checkpoint: Checkpoint,
    encoder: SessionEncoder,
    optimiser: torch.optim.Optimizer,
    state: FitState,
) -> None:
    """Replace what the file held in one act of the file system."""
    checkpoint.path.parent.mkdir(parents=True, exist_ok=True)
    held = {
        "of": checkpoint.of,
        "encoder": encoder.state_dict(),
        "optimiser": optimiser.state_dict(),
        "curve": [tuple(epoch) for epoch in state.curve],
        "best": state.best,
        "weights": state.weights,
        "part": tuple(state.part),
    }
    torch.save(held, _unfinished(checkpoint.path))
    os.replace(_unfinished(checkpoint.path), checkpoint.path)


def read(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """What the file holds, for `restore`; None where there is no file.

    Raises:
        SettingsError: it is no checkpoint, or of another training.
    """
    path = checkpoint.path
    anew = f"To begin anew, delete {path} or choose another --out."
    try:
        held = torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        return None
    except (EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise SettingsError(f"{path} cannot be read as a checkpoint ({error}). {anew}") from error
    if not isinstance(held, dict) or "of" not in held:
        raise SettingsError(f"{path} is no checkpoint that this version can go on with. {anew}")
    theirs, ours = held["of"], checkpoint.of
    names = sorted(n for n in theirs.keys() | ours.keys() if theirs.get(n) != ours.get(n))
    if names:
        raise SettingsError(
            f"{path} is of another training: it differs in {', '.join(names)}. To go on with it, "
            f"name the data and options that it was begun with. {anew}"
        )
    return dict(held)


def restore(
    held: dict[str, Any], encoder: SessionEncoder, optimiser: torch.optim.Optimizer
) -> FitState:
    """Put weights and optimiser where they were."""
    encoder.load_state_dict(held["encoder"])
    optimiser.load_state_dict(held["optimiser"])
    curve = [Epoch(*row) for row in held["curve"]]
    return FitState(curve, held["best"], held["weights"], Part(*held["part"]))


def _unfinished(path: Path) -> Path:
    return path.with_suffix(".part")
