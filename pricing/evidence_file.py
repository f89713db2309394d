"""What was learned of a panel as one file: nothing is pickled, so nothing in it can run."""

import io
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from endcap.errors import DataError
from endcap.pricing.elasticity import CategoryEffects, Elasticities, ItemEffects
from endcap.pricing.panel import MEASURES, Item, Panel
from endcap.pricing.suggest import Evidence

SCHEMA_VERSION = 1


class _Header(msgspec.Struct, frozen=True):
    schema_version: int
    items: tuple[Item, ...]
    weeks: tuple[int, ...]
    effects: tuple[ItemEffects, ...]
    categories: dict[str, CategoryEffects]
    everywhere: CategoryEffects
    spread: float


def write_evidence(file: Path, evidence: Evidence) -> None:
    """Write `evidence` as an npz file with a JSON header.

    Raises:
        DataError: the file cannot be written.
    """
    panel, found = evidence.panel, evidence.effects
    header = _Header(
        SCHEMA_VERSION,
        panel.items,
        panel.weeks,
        found.items,
        dict(found.categories),
        found.everywhere,
        evidence.spread,
    )
    rows, columns = np.nonzero(evidence.weights)
    arrays: dict[str, Any] = {name: getattr(panel, name) for name in MEASURES} | {
        "header": np.frombuffer(msgspec.json.encode(header), np.uint8),
        "level": evidence.level,
        "today": evidence.today,
        "weight_rows": rows,
        "weight_columns": columns,
        "weights": evidence.weights[rows, columns],
    }
    raw = io.BytesIO()
    np.savez_compressed(raw, **arrays)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(file.name + ".part")
        part.write_bytes(raw.getvalue())
        part.replace(file)
    except OSError as error:
        raise DataError(f"{file} cannot be written: {error.strerror}.") from error


def read_evidence(file: Path) -> Evidence:
    """The inverse of `write_evidence`.

    Raises:
        DataError: there is no such file, or it is not one of ours.
    """
    try:
        with np.load(file, allow_pickle=False) as found:
            header = msgspec.json.decode(found["header"].tobytes(), type=_Header)
            if header.schema_version != SCHEMA_VERSION:
                raise DataError(
                    f"{file} is of another version; `endcap price learn` makes it anew."
                )
            cells = {name: found[name] for name in MEASURES}
            weights = np.zeros((len(header.items),) * 2)
            weights[found["weight_rows"], found["weight_columns"]] = found["weights"]
            level, today = found["level"], found["today"]
    except OSError as error:
        raise DataError(
            f"{file} cannot be read ({error}); `endcap price learn --out {file}` makes it."
        ) from error
    except (KeyError, ValueError, zipfile.BadZipFile, msgspec.MsgspecError) as error:
        raise DataError(
            f"{file} is not what `endcap price learn` writes ({error}); make it anew."
        ) from error
    return Evidence(
        Panel(header.items, header.weeks, **cells),
        Elasticities(header.effects, header.categories, header.everywhere),
        weights,
        level,
        today,
        header.spread,
    )
