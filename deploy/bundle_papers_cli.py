"""`endcap models new-key`, `sign`, `verify` and `card`: who made a bundle, and what it is."""

from pathlib import Path
from typing import Annotated

import typer

from endcap.deploy.printed import Json
from endcap.deploy.printed import show as show_result
from endcap.deploy.settings import load_settings
from endcap.errors import BundleError, SettingsError

Folder = Annotated[Path, typer.Argument(help="The bundle's folder.")]


def new_key(
    name: Annotated[Path, typer.Argument(help="NAME.key and NAME.pub are written.")],
    as_json: Json = False,
) -> None:
    """Make a pair of keys to sign bundles with: keep NAME.key, hand out NAME.pub.

    Example: endcap models new-key training
    """
    from endcap.deploy.bundle_signatures import new_key

    secret, public = new_key(name)
    show_result({"key": str(secret), "public_key": str(public)}, as_json)


def sign(
    bundle: Folder,
    key: Annotated[Path, typer.Option(help="The file NAME.key.")],
    as_json: Json = False,
) -> None:
    """Sign a bundle: each file is looked at first, then the manifest is signed (manifest.sig).

    Example: endcap models sign runs/mine --key training.key
    """
    from endcap.deploy.bundle_signatures import SIGNATURE_FILE, sign

    sign(bundle, key)
    show_result({"bundle": str(bundle), "signature": str(bundle / SIGNATURE_FILE)}, as_json)


def verify(
    bundle: Folder,
    signers: Annotated[
        Path | None, typer.Option(help="Public keys in PEM (default: bundle_signers).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Look at each file's hash, for pickles, and at the signature; nothing is loaded.

    Example: endcap models verify runs/mine --signers training.pub
    """
    from endcap.bundle import changed_files, read_manifest, refuse_pickles
    from endcap.deploy.bundle_signatures import verify

    keys = signers or load_settings().bundle_signers
    manifest = read_manifest(bundle) if keys is None else verify(bundle, keys)
    refuse_pickles(bundle)
    if changed := changed_files(bundle, manifest):
        raise BundleError(f"{bundle}: {', '.join(changed)} not as the manifest says.")
    found = {
        "bundle": str(bundle),
        "name": manifest.name,
        "files": len(manifest.files),
        "signed": keys is not None,
    }
    show_result(found, as_json)


def card(bundle: Folder, as_json: Json = False) -> None:
    """Write the model card and the data sheet of a bundle anew, from its manifest.

    Training writes them; this is for bundles of before. A signature must be made anew.

    Example: endcap models card runs/mine
    """
    from endcap.bundle import read_manifest
    from endcap.deploy.bundle_signatures import SIGNATURE_FILE
    from endcap.export.cards import DATA_SHEET, MODEL_CARD, add_cards

    if (bundle / SIGNATURE_FILE).exists():
        raise SettingsError(
            f"{bundle} is signed; the cards would change its manifest. Remove "
            f"{bundle / SIGNATURE_FILE}, and sign it again afterwards."
        )
    add_cards(bundle, read_manifest(bundle))
    show_result({"bundle": str(bundle), "files": [MODEL_CARD, DATA_SHEET]}, as_json)


def add_to(app: typer.Typer) -> None:
    """The four commands, beside those of `endcap models`."""
    app.command("new-key")(new_key)
    app.command("sign")(sign)
    app.command("verify")(verify)
    app.command("card")(card)
