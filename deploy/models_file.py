"""`models.json`: which bundle scores, which did before, and which is tried in its shadow.

The commands of `endcap models` write it whole or not at all; processes look at it every second. It
may be written by hand: all that is needed is `{"current": {"bundle": "/models/spring"}}`.
"""

import hashlib
import os
from pathlib import Path
from typing import Annotated

import msgspec

from endcap.bundle import MANIFEST_FILE
from endcap.errors import BundleError, SettingsError


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bundle's folder, and the manifest that lay in it when it was checked: another one there is
    another model. Empty: whatever lies there."""

    bundle: str
    manifest_sha256: str = ""


class Models(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to run. `current` None: what the setting `bundle` says."""

    current: Named | None = None
    previous: Named | None = None
    shadow: Named | None = None
    shadow_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0


def named(folder: Path) -> Named:
    """The bundle that lies there now.

    Raises:
        BundleError: there is none.
    """
    path = folder.resolve()
    try:
        raw = (path / MANIFEST_FILE).read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path / MANIFEST_FILE} cannot be read ({error.strerror}). Name a bundle's "
            "folder, or make one with `endcap train completejourney`."
        ) from error
    return Named(str(path), hashlib.sha256(raw).hexdigest())


def in_use(models: Models, chosen: Named) -> Models:
    """`chosen` scores, and what did so before is remembered. What was a shadow is none any more."""
    if chosen == models.current:
        return models
    used = msgspec.structs.replace(models, current=chosen, previous=models.current)
    return without_shadow(used) if chosen == models.shadow else used


def rolled_back(models: Models) -> Models:
    """The one before scores again; once more, and it is as it was.

    Raises:
        SettingsError: none is known.
    """
    if models.previous is None:
        raise SettingsError(
            "No bundle is known from before: `endcap models use BUNDLE` remembers the one that it "
            "replaces. Name the one that you want."
        )
    return in_use(models, models.previous)


def with_shadow(models: Models, shadow: Named, share: float) -> Models:
    """This one is tried on `share` of the shoppers, 0 to 1."""
    return msgspec.structs.replace(models, shadow=shadow, shadow_share=share)


def without_shadow(models: Models) -> Models:
    """Nothing is tried."""
    return msgspec.structs.replace(models, shadow=None, shadow_share=0.0)


def read_models(path: Path) -> Models:
    """What the file says; where there is none, nothing.

    Raises:
        SettingsError: it cannot be read, or has another form.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Models)
    except FileNotFoundError:
        return Models()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise SettingsError(
            f"{path} does not say which models to run: {error}. Correct it, or delete it and call "
            "`endcap models use BUNDLE`."
        ) from error


def write_models(path: Path, models: Models) -> None:
    """Replace the file at once: whoever reads it sees the old or the new one.

    Raises:
        SettingsError: it cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(models), indent=2) + b"\n"
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}. Name another by ENDCAP_MODELS_FILE."
        ) from error
