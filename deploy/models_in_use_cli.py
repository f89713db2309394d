"""`endcap models`: which bundle scores, which is tried in its shadow, and the way back."""

from pathlib import Path
from typing import Annotated, Any

import typer

from endcap.deploy import bundle_papers_cli
from endcap.deploy.models_file import (
    Models,
    Named,
    in_use,
    named,
    read_models,
    rolled_back,
    with_shadow,
    without_shadow,
    write_models,
)
from endcap.deploy.printed import Json, screen
from endcap.deploy.printed import show as show_result
from endcap.deploy.settings import Settings, load_settings
from endcap.errors import BundleError, EndcapError, SettingsError

app = typer.Typer(no_args_is_help=True, help="Which bundle scores: swap, shadow, roll back.")
bundle_papers_cli.add_to(app)
Folder = Annotated[Path, typer.Argument(help="The bundle's folder.")]


@app.command()
def use(bundle: Folder, as_json: Json = False) -> None:
    """Swap to a bundle. It is loaded, verified and tried first; running processes follow at once.

    Example: endcap models use bundles/spring
    """
    settings = load_settings()
    models = _read(settings)
    chosen = named(bundle)
    name = _checked(chosen, settings)
    if models.current is not None and _name(models.current) == name and models.current != chosen:
        screen.print(
            f"Both are called {name}: lists name the model, and will not tell them apart.",
            highlight=False,
        )
    _write(settings, in_use(models, chosen), as_json)


@app.command()
def rollback(as_json: Json = False) -> None:
    """Back to the bundle that scored before; once more, and it is as it was.

    Example: endcap models rollback
    """
    settings = load_settings()
    models = rolled_back(_read(settings))
    if models.current is not None:
        _checked(models.current, settings)
    _write(settings, models, as_json)


@app.command()
def shadow(
    bundle: Annotated[Path | None, typer.Argument(help="The bundle's folder.")] = None,
    share: Annotated[
        float, typer.Option(help="Of the shoppers, always the same ones.", min=0, max=1)
    ] = 0.1,
    off: Annotated[bool, typer.Option("--off", help="Try none.")] = False,
    as_json: Json = False,
) -> None:
    """Try a bundle unseen: its lists are compared with those that are shown, in metrics alone.

    Example: endcap models shadow bundles/summer --share 0.1

    Example: endcap models shadow --off
    """
    if (bundle is None) != off:
        raise EndcapError("Name the bundle to be tried, or say --off.")
    settings = load_settings()
    models = read_models(settings.models_path)
    if bundle is None:
        _write(settings, without_shadow(models), as_json)
        return
    chosen = named(bundle)
    _checked(chosen, settings)
    _write(settings, with_shadow(models, chosen, share), as_json)


@app.command()
def show(as_json: Json = False) -> None:
    """What the file names now: the current bundle, the one before, and the shadow.

    Example: endcap models show --json
    """
    settings = load_settings()
    show_result(told(settings, read_models(settings.models_path)), as_json)


def _read(settings: Settings) -> Models:
    """The file; where it names no current bundle, the setting's is what will have been before."""
    models = read_models(settings.models_path)
    if models.current is not None:
        return models
    try:
        return in_use(models, named(settings.bundle))
    except BundleError:
        return models


def _checked(chosen: Named, settings: Settings) -> str:
    """Its name.

    Raises:
        SettingsError: it cannot serve.
    """
    from endcap.deploy.ready_model import checked_model

    try:
        return checked_model(chosen, settings).bundle.manifest.name
    except EndcapError as error:
        raise SettingsError(f"{error} Nothing was changed.") from error


def _write(settings: Settings, models: Models, as_json: bool) -> None:
    write_models(settings.models_path, models)
    show_result(told(settings, models), as_json)
    screen.print(
        f"Processes that read {settings.models_path.resolve()} follow within seconds; their "
        "/metrics say so (endcap_model_info, endcap_model_swaps_total).",
        highlight=False,
        soft_wrap=True,
    )


def told(settings: Settings, models: Models) -> dict[str, Any]:
    """What the file names, as JSON; of a bundle that cannot be read its problem."""
    current = models.current or Named(str(settings.bundle.resolve()))
    return {
        "models_file": str(settings.models_path.resolve()),
        "current": _facts(current),
        "previous": _facts(models.previous),
        "shadow": _facts(models.shadow),
        "shadow_share": models.shadow_share,
    }


def _facts(held: Named | None) -> dict[str, str] | None:
    if held is None:
        return None
    from endcap.bundle import read_manifest

    try:
        made = read_manifest(Path(held.bundle))
        now = named(Path(held.bundle)).manifest_sha256
    except BundleError as error:
        return {"bundle": held.bundle, "problem": str(error)}
    facts = {"bundle": held.bundle, "name": made.name, "created_at": made.created_at}
    if held.manifest_sha256 not in ("", now):
        facts["problem"] = "Its manifest was changed since it was named."
    return facts


def _name(held: Named) -> str | None:
    return (_facts(held) or {}).get("name")
