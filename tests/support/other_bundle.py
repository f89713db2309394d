"""Bundles beside the committed one: another model, one that scores no numbers, a damaged one."""

import hashlib
import shutil
from pathlib import Path

import msgspec
import numpy as np

from endcap.bundle import FileEntry, Manifest, read_manifest, write_manifest
from endcap.catalogue import CatalogueItem
from endcap.deploy.settings import DEMO_BUNDLE

_TURN = 1000


def other_bundle(folder: Path, name: str) -> Path:
    """The committed bundle with its items in other places: each list is another one."""
    made = _copied(folder)
    items = msgspec.json.decode((folder / "items.json").read_bytes(), type=list[CatalogueItem])
    turned = items[_TURN:] + items[:_TURN]
    _rewrite(folder, made, name, "items.json", msgspec.json.encode(turned))
    return folder


def bundle_without_numbers(folder: Path) -> Path:
    """Every hash is right, and no item vector is a number."""
    made = _copied(folder)
    assert made.stages is not None
    raw = bytearray((folder / "model.onnx").read_bytes())
    nothing = np.full(made.stages.rows * made.stages.dim, np.nan, "<f4").tobytes()
    raw[made.stages.table_at : made.stages.table_at + len(nothing)] = nothing
    _rewrite(folder, made, "no numbers", "model.onnx", bytes(raw))
    return folder


def damaged_bundle(folder: Path) -> Path:
    """One byte of the candidate indexes is not the one that was hashed."""
    _copied(folder)
    path = folder / "generators.npz"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    return folder


def _copied(folder: Path) -> Manifest:
    shutil.copytree(DEMO_BUNDLE, folder)
    return read_manifest(folder)


def _rewrite(folder: Path, made: Manifest, name: str, file: str, raw: bytes) -> None:
    (folder / file).write_bytes(raw)
    entry = FileEntry(hashlib.sha256(raw).hexdigest(), len(raw))
    files = made.files | {file: entry}
    write_manifest(folder, msgspec.structs.replace(made, name=name, files=files))
