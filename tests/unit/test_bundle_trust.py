"""A bundle runs nobody's code, and is of whom the operator trusts."""

import hashlib
import io
import pickle
import shutil
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from endcap.bundle import FileEntry, load_bundle, read_manifest, write_manifest
from endcap.deploy.bundle_signatures import SIGNATURE_FILE, load_trusted, new_key, sign
from endcap.deploy.cli import app
from endcap.deploy.settings import DEMO_BUNDLE, Settings, load_settings
from endcap.errors import BundleError
from endcap.export.cards import DATA_SHEET, MODEL_CARD, add_cards


class _Evil:
    """Unpickled, it would leave a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.trace,)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "bundle"
    shutil.copytree(DEMO_BUNDLE, made)
    return made


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    new_key(tmp_path / "training")
    return load_settings(bundle_signers=tmp_path / "training.pub")


def _put(folder: Path, name: str, raw: bytes) -> None:
    """As somebody would who can write the manifest as well."""
    (folder / name).write_bytes(raw)
    manifest = read_manifest(folder)
    entry = FileEntry(hashlib.sha256(raw).hexdigest(), len(raw))
    write_manifest(folder, msgspec.structs.replace(manifest, files=manifest.files | {name: entry}))


def _npz_of_objects(trace: Path) -> bytes:
    file = io.BytesIO()
    np.savez(file, popular=np.array([_Evil(trace)], dtype=object))
    return file.getvalue()


def _torch_checkpoint(trace: Path) -> bytes:
    return _archive("archive/data.pkl", pickle.dumps(_Evil(trace)))


def _archive(name: str, raw: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, raw)
    return file.getvalue()


def test_pickled_content_is_refused_and_never_run(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for name, raw in (
        ("generators.npz", _npz_of_objects(trace)),
        ("weights.bin", _torch_checkpoint(trace)),
        ("model.onnx", pickle.dumps(_Evil(trace))),
        ("words.txt", pickle.dumps(_Evil(trace), protocol=0)),
        ("notes.txt", pickle.dumps(_Evil(trace), protocol=1)),
        ("more.zip", _archive("notes", pickle.dumps(_Evil(trace), protocol=0))),
        ("beside.pt", b""),
    ):
        copy = tmp_path / f"with-{name}"
        shutil.copytree(folder, copy)
        _put(copy, name, raw)
        with pytest.raises(BundleError, match=rf"{name} holds .*(pickle|objects)"):
            load_bundle(copy)
    assert not trace.exists()


def test_a_manifest_that_lists_what_lies_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"of another")
    manifest = read_manifest(folder)
    for name in ("../elsewhere", str(tmp_path / "elsewhere"), "..", ""):
        entry = FileEntry(hashlib.sha256(b"of another").hexdigest(), 10)
        files = manifest.files | {name: entry}
        write_manifest(folder, msgspec.structs.replace(manifest, files=files))
        with pytest.raises(BundleError, match="not in its folder"):
            load_bundle(folder)


def test_a_graph_whose_weights_lie_in_another_file_is_refused(folder: Path) -> None:
    """No hash and no signature would cover them. As `onnx.save_model` writes them: fields 13 of a
    tensor (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), a key and a value each."""
    location = b"\x0a\x08location\x12\x0bweights.bin"
    tensor = b"\x6a" + bytes([len(location)]) + location + b"\x70\x01"
    _put(folder, "model.onnx", (folder / "model.onnx").read_bytes() + tensor)
    with pytest.raises(BundleError, match="weights in another file"):
        load_bundle(folder)


def test_an_archive_that_is_none_is_refused_with_a_message(folder: Path) -> None:
    _put(folder, "generators.npz", b"no archive")
    with pytest.raises(BundleError, match="not what endcap writes"):
        load_bundle(folder)


def test_a_signed_bundle_is_loaded_and_an_unsigned_or_changed_one_is_not(
    folder: Path, tmp_path: Path, settings: Settings
) -> None:
    with pytest.raises(BundleError, match="is not signed"):
        load_trusted(folder, settings)
    sign(folder, tmp_path / "training.key")
    assert load_trusted(folder, settings).manifest.name == "completejourney"
    manifest = read_manifest(folder)
    write_manifest(folder, msgspec.structs.replace(manifest, name="other"))
    with pytest.raises(BundleError, match="of nobody in"):
        load_trusted(folder, settings)


def test_a_signature_of_a_stranger_is_refused(
    folder: Path, tmp_path: Path, settings: Settings
) -> None:
    new_key(tmp_path / "stranger")
    sign(folder, tmp_path / "stranger.key")
    with pytest.raises(BundleError, match="of nobody in"):
        load_trusted(folder, settings)
    both = (tmp_path / "training.pub").read_bytes() + (tmp_path / "stranger.pub").read_bytes()
    (tmp_path / "both.pub").write_bytes(both)
    assert load_trusted(folder, load_settings(bundle_signers=tmp_path / "both.pub"))


def test_the_commands_make_a_key_sign_and_verify(folder: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert run(app, ["models", "new-key", str(tmp_path / "k")]).exit_code == 0
    assert (tmp_path / "k.key").stat().st_mode & 0o077 == 0
    assert (
        run(app, ["models", "sign", str(folder), "--key", str(tmp_path / "k.key")]).exit_code == 0
    )
    verify = ["models", "verify", str(folder), "--signers", str(tmp_path / "k.pub")]
    assert run(app, verify).exit_code == 0
    (folder / "words.npz").write_bytes(b"")
    assert isinstance(run(app, verify).exception, BundleError)


def test_a_bundle_gets_a_model_card_and_a_data_sheet_that_its_manifest_lists(folder: Path) -> None:
    manifest = add_cards(folder, read_manifest(folder))
    assert {MODEL_CARD, DATA_SHEET} <= read_manifest(folder).files.keys()
    card, sheet = (folder / MODEL_CARD).read_text(), (folder / DATA_SHEET).read_text()
    ours, popular = (manifest.metrics[name]["hr_at_10"] for name in ("endcap", "pop"))
    assert f"| endcap | {ours:.4f}" in card
    assert f"| pop | {popular:.4f}" in card
    assert manifest.data["sha256"] in sheet
    assert load_bundle(folder).manifest == manifest


def test_a_bundle_of_before_without_cards_and_signature_still_loads(folder: Path) -> None:
    manifest = read_manifest(folder)
    for name in (MODEL_CARD, DATA_SHEET, SIGNATURE_FILE):
        (folder / name).unlink(missing_ok=True)
    kept = {name: e for name, e in manifest.files.items() if not name.endswith(".md")}
    write_manifest(folder, msgspec.structs.replace(manifest, files=kept))
    assert load_bundle(folder).manifest.name == "completejourney"
