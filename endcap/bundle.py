"""A model bundle: a folder that is loaded only when every hash in its manifest is right.

Files: `manifest.json`, `model.onnx`, `items.json` (the item table; row i is item index i + 1) and
`generators.npz` (the flat candidate indexes). Nothing in it is pickled: numpy is told to refuse,
and a folder that holds a pickle is not loaded.
Where the manifest has `stages`, `session_encoder.onnx` and `blend.onnx` are the same model in parts
(docs/decisions/0024). Other files may lie beside them (`words.npz`), named in the manifest,
verified by who reads them.
"""

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from endcap.arrays import FloatArray, IntArray, LongArray
from endcap.candidates import Crowd, Gatherer, make_crowd
from endcap.candidates.gatherer import IS_BUILT
from endcap.candidates.generators import Generators
from endcap.candidates.generators_file import decode_generators, encode_generators
from endcap.catalogue import CatalogueItem
from endcap.errors import BundleError
from endcap.input_figures import InputFigures, popularity_fifths
from endcap.pickles import pickled_in
from endcap.repeats import learned_waits
from endcap.scoring import StageGraphs
from endcap.sessions import Session

SCHEMA_VERSION = 2
MANIFEST_FILE = "manifest.json"
FILES = ("model.onnx", "items.json", "generators.npz")
STAGE_FILES = ("session_encoder.onnx", "blend.onnx")
_NO_NAMES = frozenset({"", ".", ".."})
_OUTSIDE = b"\x0a\x08location"
"""The key, in a graph's bytes, of where a tensor lies that is not in the graph (`external_data` in
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). ONNX Runtime, given bytes, looks for such a
file in the folder that the process happens to run in."""


class FileEntry(msgspec.Struct, frozen=True):
    """A file's fingerprint."""

    sha256: str
    bytes: int


class StageFacts(msgspec.Struct, frozen=True):
    """What the stages need beside their graphs. The item vectors, float32 [`rows`, `dim`], lie once
    in the bundle: in `model.onnx` from byte `table_at` on, not normalised."""

    temperature: float
    own: int
    layers: int
    width: int
    table_at: int
    rows: int
    dim: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the bundle is, how it was made and how well it did.

    `made_from`: of a quantised bundle or a student, the SHA-256 of the graph that it was made from,
    the command that made that one, and how. `inputs`: what its test asked, in bins; None in an
    older bundle, whose drift cannot be told.
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
    stages: StageFacts | None = None
    inputs: InputFigures | None = None


class Bundle(NamedTuple):
    """A verified bundle in memory; `model` holds the bytes of the ONNX graph.

    `index_of`: every item that the bundle lists; `met`: those that it knows anything of. `stages`:
    None in a bundle that has the whole graph alone. `waits_ms` [V + 1]: how long an item stays away
    after its first purchase. `fifths` [V + 1]: of `popularity_fifths`.
    """

    manifest: Manifest
    items: tuple[CatalogueItem, ...]
    index_of: dict[str, int]
    met: dict[str, int]
    generators: Generators
    gatherer: Gatherer
    model: bytes
    stages: StageGraphs | None
    waits_ms: LongArray
    fifths: IntArray

    def item(self, index: int) -> CatalogueItem:
        """The item at an index from 1."""
        return self.items[index - 1]

    def crowd(self, sessions: Sequence[Session], now_ms: Sequence[int] | None = None) -> Crowd:
        """Sessions in this bundle's item indexes, each as of its own newest event, or as of
        `now_ms`."""
        now_ms = now_ms or [session.updated_ms for session in sessions]
        return make_crowd(sessions, now_ms, self.met, len(self.items))


def write_bundle(
    folder: Path,
    manifest: Manifest,
    items: tuple[CatalogueItem, ...],
    generators: Generators,
    model: bytes,
    stages: StageGraphs | None = None,
) -> Manifest:
    """Write the files, then the manifest with their hashes; returns that manifest. `stages` are of
    the same weights as `model`, which holds their item vectors."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = {
        "model.onnx": model,
        "items.json": msgspec.json.encode(items),
        "generators.npz": encode_generators(generators),
    }
    if stages is not None:
        raw |= dict(zip(STAGE_FILES, (stages.encoder, stages.blend), strict=True))
    for name, written in raw.items():
        (folder / name).write_bytes(written)
    for name in set(STAGE_FILES) - raw.keys():
        (folder / name).unlink(missing_ok=True)
    complete = msgspec.structs.replace(
        manifest,
        files={name: _entry(written) for name, written in raw.items()},
        stages=None if stages is None else _stage_facts(stages, model),
    )
    write_manifest(folder, complete)
    return complete


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """The manifest as it is, for people to read too."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / MANIFEST_FILE).write_bytes(text + b"\n")


def load_bundle(folder: Path, natively: bool = True) -> Bundle:
    """Read and verify a bundle. `natively`: candidates and scores by the compiled path, where it
    was built.

    Raises:
        BundleError: a file is missing, was changed, or is of another schema; or something in the
            folder is pickled, whatever the manifest says of it.
    """
    manifest = read_manifest(folder)
    refuse_pickles(folder)
    raw: dict[str, bytes] = {}
    for name in FILES if manifest.stages is None else (*FILES, *STAGE_FILES):
        entry = manifest.files.get(name)
        if entry is None:
            raise BundleError(f"{folder}: the manifest does not list {name}. Train it again.")
        raw[name] = _read(folder / name)
        if _OUTSIDE in raw[name] and name.endswith(".onnx"):
            raise BundleError(
                f"{folder / name} has its weights in another file, which no hash covers. Export it "
                "in one file, as `endcap train` does."
            )
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
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(
            f"{folder / 'generators.npz'} is not what endcap writes ({error}). Train it again."
        ) from error
    index_of = {item.item_id: index for index, item in enumerate(items, start=1)}
    is_met = generators.met
    met = {item: index for item, index in index_of.items() if is_met[index]}
    gatherer = Gatherer(generators, natively and IS_BUILT)
    stages = None
    if manifest.stages is not None:
        facts = manifest.stages
        encoder, blend = (raw[name] for name in STAGE_FILES)
        table = _table_in(raw["model.onnx"], facts)
        stages = StageGraphs(
            encoder, blend, facts.temperature, facts.own, facts.layers, facts.width, table
        )
    waits_ms = learned_waits(items, generators.returns, generators.popularity)
    model = raw["model.onnx"]
    fifths = popularity_fifths(generators.popularity)
    return Bundle(
        *(manifest, items, index_of, met, generators, gatherer, model, stages, waits_ms, fifths)
    )


def refuse_pickles(folder: Path) -> None:
    """Look at each file of the folder, listed or not: at its beginning, or an archive's members.

    Raises:
        BundleError: one is pickled, or has something pickled inside.
    """
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        if found := pickled_in(path):
            raise BundleError(
                f"{path} holds {found}: loading such a file would run what is in it. endcap writes "
                "none. Do not load this bundle anywhere; fetch it again from where it was trained."
            )


def changed_files(folder: Path, manifest: Manifest) -> list[str]:
    """Names of files that the manifest lists and that are not as it says, or are missing."""
    return [
        name
        for name, entry in manifest.files.items()
        if not (folder / name).is_file() or _entry((folder / name).read_bytes()) != entry
    ]


def with_file(folder: Path, manifest: Manifest, name: str, raw: bytes) -> Manifest:
    """Write a file beside the others, then the manifest that lists it; returns that."""
    (folder / name).write_bytes(raw)
    complete = msgspec.structs.replace(manifest, files=manifest.files | {name: _entry(raw)})
    write_manifest(folder, complete)
    return complete


def decode_manifest(raw: bytes, folder: Path) -> Manifest:
    """Of its bytes.

    Raises:
        BundleError: they are no manifest, or of another schema.
    """
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except msgspec.DecodeError as error:
        raise BundleError(
            f"{folder / 'manifest.json'} is not a bundle's manifest: {error}."
        ) from error
    elsewhere = next((name for name in manifest.files if _is_elsewhere(name)), None)
    if elsewhere is not None:
        raise BundleError(
            f"{folder / 'manifest.json'} lists {elsewhere!r}, which is not in its folder. "
            "Fetch the bundle again from where it was trained."
        )
    if manifest.schema_version != SCHEMA_VERSION:
        raise BundleError(
            f"{folder} has schema version {manifest.schema_version}; this endcap reads "
            f"{SCHEMA_VERSION}. Train it again with this version."
        )
    return manifest


def _is_elsewhere(name: str) -> bool:
    return name in _NO_NAMES or "/" in name or "\\" in name


def _stage_facts(stages: StageGraphs, model: bytes) -> StageFacts:
    rows, dim = stages.table.shape
    raw = stages.table.tobytes()
    at = model.find(raw)
    if at < 0:
        raise BundleError("The whole graph does not hold the item vectors of its stages.")
    return StageFacts(stages.temperature, stages.own, stages.layers, stages.width, at, rows, dim)


def _table_in(model: bytes, facts: StageFacts) -> FloatArray:
    found = np.frombuffer(model, "<f4", facts.rows * facts.dim, facts.table_at)
    table: FloatArray = found.reshape(facts.rows, facts.dim).astype(np.float32)
    return table


def read_manifest(folder: Path) -> Manifest:
    """What a bundle says of itself; its files are not looked at.

    Raises:
        BundleError: there is none, or it is of another schema.
    """
    return decode_manifest(_read(folder / MANIFEST_FILE), folder)


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
