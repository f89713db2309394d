"""A model bundle: a folder that is loaded only when every hash in its manifest is right.

Files: `manifest.json`, `model.onnx`, `items.json` (the item table; row i is item index i + 1) and
`generators.npz` (the flat candidate indexes). Nothing in it is pickled: numpy is told to refuse.
Other files may lie beside them (`words.npz`), named in the manifest, verified by who reads them.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import msgspec

from endcap.candidates import Gatherer, Shopper, shopper_from_session
from endcap.candidates.generators import Generators
from endcap.candidates.generators_file import decode_generators, encode_generators
from endcap.catalogue import CatalogueItem
from endcap.errors import BundleError
from endcap.sessions import Session

SCHEMA_VERSION = 2
MANIFEST_FILE = "manifest.json"
FILES = ("model.onnx", "items.json", "generators.npz")


class FileEntry(msgspec.Struct, frozen=True):
    """A file's fingerprint."""

    sha256: str
    bytes: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the bundle is, how it was made and how well it did.

    `made_from`: of a quantised bundle or a student, the SHA-256 of the graph that it was made from,
    the command that made that one, and how.
    """

    schema_version: int
    name: str
    created_at: str
    command: str
    licence: str
    data: dict[str, str]
    max_length: int
    vocabulary_size: int
    features: tuple[str, ...]
    metrics: dict[str, dict[str, float]]
    files: dict[str, FileEntry]
    made_from: dict[str, str] = {}


class Bundle(NamedTuple):
    """A verified bundle in memory; `model` holds the bytes of the ONNX graph.

    `index_of`: every item that the bundle lists; `met`: those that it knows anything of.
    """

    manifest: Manifest
    items: tuple[CatalogueItem, ...]
    index_of: dict[str, int]
    met: dict[str, int]
    generators: Generators
    gatherer: Gatherer
    model: bytes

    def item(self, index: int) -> CatalogueItem:
        """The item at an index from 1."""
        return self.items[index - 1]

    def shopper(self, session: Session, now_ms: int) -> Shopper:
        """The session in this bundle's item indexes."""
        return shopper_from_session(session, self.met, now_ms, len(self.items))


def write_bundle(
    folder: Path,
    manifest: Manifest,
    items: tuple[CatalogueItem, ...],
    generators: Generators,
    model: bytes,
) -> Manifest:
    """Write the files, then the manifest with their hashes; returns that manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model)
    (folder / "items.json").write_bytes(msgspec.json.encode(items))
    (folder / "generators.npz").write_bytes(encode_generators(generators))
    files = {name: _entry((folder / name).read_bytes()) for name in FILES}
    complete = msgspec.structs.replace(manifest, files=files)
    write_manifest(folder, complete)
    return complete


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """The manifest as it is, for people to read too."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / MANIFEST_FILE).write_bytes(text + b"\n")


def load_bundle(folder: Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        BundleError: a file is missing, was changed, or is of another schema.
    """
    manifest = _read_manifest(folder)
    raw: dict[str, bytes] = {}
    for name in FILES:
        entry = manifest.files.get(name)
        if entry is None:
            raise BundleError(f"{folder}: the manifest does not list {name}. Train it again.")
        raw[name] = _read(folder / name)
        if _entry(raw[name]) != entry:
            raise BundleError(
                f"{folder / name} is not the file its manifest describes (sha256 or size differ). "
                "It was changed or copied in part: fetch the bundle again or train it anew "
                "with `endcap train`."
            )
    items = msgspec.json.decode(raw["items.json"], type=tuple[CatalogueItem, ...])
    try:
        generators = decode_generators(raw["generators.npz"])
    except KeyError as error:
        raise BundleError(
            f"{folder / 'generators.npz'} is of another version of endcap ({error.args[0]}). "
            "Train the bundle again with this version."
        ) from error
    index_of = {item.item_id: index for index, item in enumerate(items, start=1)}
    is_met = generators.met
    met = {item: index for item, index in index_of.items() if is_met[index]}
    gatherer = Gatherer(generators)
    return Bundle(manifest, items, index_of, met, generators, gatherer, raw["model.onnx"])


def _read_manifest(folder: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode(_read(folder / MANIFEST_FILE), type=Manifest)
    except msgspec.DecodeError as error:
        raise BundleError(
            f"{folder / 'manifest.json'} is not a bundle's manifest: {error}."
        ) from error
    if manifest.schema_version != SCHEMA_VERSION:
        raise BundleError(
            f"{folder} has schema version {manifest.schema_version}; this endcap reads "
            f"{SCHEMA_VERSION}. Train it again with this version."
        )
    return manifest


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read ({error.strerror}). Name a bundle's folder, or make one with "
            "`endcap train completejourney`."
        ) from error


def _entry(raw: bytes) -> FileEntry:
    return FileEntry(hashlib.sha256(raw).hexdigest(), len(raw))
