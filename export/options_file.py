"""`LearnOptions` as a file that people may read and edit: what `endcap tune` writes."""

import os
from pathlib import Path

import msgspec

from endcap.errors import SettingsError
from endcap.export.learn_options import LearnOptions

OPTIONS_FILE = "options.json"


def store_options(path: Path, options: LearnOptions) -> None:
    """Write whole or not at all."""
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(options), indent=2) + b"\n")
    os.replace(unfinished, path)


def load_options(path: Path) -> LearnOptions:
    """Read and check; what a file leaves out has its default.

    Raises:
        SettingsError: it cannot be read, names an option that there is not, or has a wrong value.
    """
    try:
        options = msgspec.json.decode(path.read_bytes(), type=LearnOptions)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read ({error.strerror}). Name the {OPTIONS_FILE} in a folder of "
            "`endcap tune`."
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path} holds no options: {error}. Mend it, or write it anew by `endcap tune`."
        ) from error
    for wrong in _wrong(options):
        raise SettingsError(f"{path}: {wrong}.")
    return options


def with_seed(options: LearnOptions, seed: int) -> LearnOptions:
    """The same options from another seed."""
    return msgspec.structs.replace(
        options,
        fit=msgspec.structs.replace(options.fit, seed=seed),
        blend_fit=msgspec.structs.replace(options.blend_fit, seed=seed),
    )


def _wrong(options: LearnOptions) -> list[str]:
    encoder, fit = options.encoder, options.fit
    positive = {
        "encoder.dim": encoder.dim,
        "encoder.layers": encoder.layers,
        "encoder.heads": encoder.heads,
        "encoder.length": encoder.length,
        "encoder.temperature": encoder.temperature,
        "fit.epochs": fit.epochs,
        "fit.learning_rate": fit.learning_rate,
        "fit.item_rate": fit.item_rate,
        "fit.positions": fit.positions,
        "fit.negatives": fit.negatives,
        "blend.width": options.blend.width,
        "blend.own": options.blend.own,
    }
    shares = {
        "encoder.dropout": encoder.dropout,
        "encoder.item_dropout": encoder.item_dropout,
        "blend.dropout": options.blend.dropout,
    }
    found = [
        f"{name} is {value}, and must be above 0" for name, value in positive.items() if value <= 0
    ]
    found += [
        f"{name} is {value}, and must be from 0 to below 1"
        for name, value in shares.items()
        if not 0 <= value < 1
    ]
    if not found and encoder.dim % encoder.heads:
        found.append(f"encoder.dim {encoder.dim} cannot be divided by {encoder.heads} heads")
    return found
