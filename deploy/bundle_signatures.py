"""Signatures of bundles: Ed25519 (RFC 8032) over the manifest, which has the hash of each file.

`manifest.sig` lies beside it: the signature in base64, one line. Where `bundle_signers` is set, a
process loads no bundle that none of those keys has signed.
"""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from endcap.bundle import (
    MANIFEST_FILE,
    Bundle,
    Manifest,
    changed_files,
    decode_manifest,
    load_bundle,
    refuse_pickles,
)
from endcap.deploy.settings import Settings
from endcap.errors import BundleError, RuntimeConflictError, SettingsError

SIGNATURE_FILE = "manifest.sig"
_PEM_END = b"-----END PUBLIC KEY-----"


def load_trusted(folder: Path, settings: Settings, natively: bool = True) -> Bundle:
    """As `load_bundle`, and signed where the settings want that.

    1. Verify the manifest's signature.
    2. Load, every hash verified against the manifest.
    3. See that it is the manifest that was verified: nobody exchanged it in between.

    Raises:
        BundleError: it cannot be loaded, or its signature is missing or of nobody who may sign.
    """
    if settings.bundle_signers is None:
        return load_bundle(folder, natively)
    signed = verify(folder, settings.bundle_signers)
    bundle = load_bundle(folder, natively)
    if bundle.manifest != signed:
        raise BundleError(f"{folder} was changed while it was loaded. Try again.")
    return bundle


def sign(folder: Path, private_key: Path) -> None:
    """Look at all that the manifest lists, and sign it.

    Raises:
        BundleError: a file is not as the manifest says, or something is pickled.
        SettingsError: the key cannot be read.
    """
    raw = _read(folder / MANIFEST_FILE)
    manifest = decode_manifest(raw, folder)
    refuse_pickles(folder)
    if changed := changed_files(folder, manifest):
        raise BundleError(f"{folder}: {changed[0]} is not as the manifest says. Nothing is signed.")
    signature = _private(private_key).sign(raw)
    (folder / SIGNATURE_FILE).write_bytes(base64.b64encode(signature) + b"\n")


def verify(folder: Path, signers: Path) -> Manifest:
    """The manifest that was signed.

    Raises:
        BundleError: no signature, or none of these signers' over this manifest.
        SettingsError: the file of public keys cannot be read.
    """
    raw = _read(folder / MANIFEST_FILE)
    keys = _public(signers)
    from cryptography.exceptions import InvalidSignature

    if not (folder / SIGNATURE_FILE).is_file():
        raise BundleError(
            f"{folder} is not signed, and bundle_signers asks for a signature. Who trained it "
            f"signs it: endcap models sign {folder} --key FILE."
        )
    try:
        signature = base64.b64decode(_read(folder / SIGNATURE_FILE).strip(), validate=True)
    except binascii.Error as error:
        raise BundleError(f"{folder / SIGNATURE_FILE} is no signature ({error}).") from error
    for key in keys:
        try:
            key.verify(signature, raw)
        except InvalidSignature:
            continue
        return decode_manifest(raw, folder)
    raise BundleError(
        f"The signature of {folder} is of nobody in {signers}, or its manifest was changed after "
        "it was signed. Fetch the bundle again from where it was trained, or add that key."
    )


def new_key(name: Path) -> tuple[Path, Path]:
    """Make a pair of keys: NAME.key, readable by its owner alone, and NAME.pub.

    Raises:
        SettingsError: one is there already.
    """
    from cryptography.hazmat.primitives import serialization as form

    secret, public = name.with_name(f"{name.name}.key"), name.with_name(f"{name.name}.pub")
    for path in (secret, public):
        if path.exists():
            raise SettingsError(f"{path} is there already; it is not overwritten.")
    key = _ed25519().Ed25519PrivateKey.generate()
    secret.touch(0o600)
    secret.write_bytes(
        key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    )
    return secret, public


def _private(path: Path) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(f"The key {path} cannot be read ({error}).") from error
    if not isinstance(key, _ed25519().Ed25519PrivateKey):
        raise SettingsError(f"{path} is no Ed25519 key. `endcap models new-key` makes one.")
    return key


def _public(path: Path) -> Sequence[Any]:
    """Those of a file: several PEMs one behind the other."""
    ed25519 = _ed25519()
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        parts = [part for part in path.read_bytes().split(_PEM_END) if part.strip()]
        keys = [load_pem_public_key(part.strip() + b"\n" + _PEM_END + b"\n") for part in parts]
    except (OSError, ValueError) as error:
        raise SettingsError(f"bundle_signers {path} cannot be read ({error}).") from error
    if not keys or not all(isinstance(key, ed25519.Ed25519PublicKey) for key in keys):
        raise SettingsError(
            f"bundle_signers {path} holds no Ed25519 public keys in PEM. `endcap models new-key` "
            "makes them (.pub)."
        )
    return keys


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise RuntimeConflictError(
            "Signatures need the package cryptography: pip install 'endcap[signing]'."
        ) from error
    return ed25519


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}).") from error
