"""`endcap config`: the settings in force, and where each comes from; no secret is shown."""

import json
import os
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit

import typer
from pydantic import SecretStr
from rich.table import Table

from endcap.deploy.printed import Json, screen
from endcap.deploy.secret_files import secret_files
from endcap.deploy.settings import SECRETS, Settings, load_settings, settings_in_file

app = typer.Typer(no_args_is_help=True, help="The settings in force.")
HIDDEN = "***"
_TELLING = ("password", "passwd", "secret", "token", "passphrase", "credential", "auth", "apikey")


@app.callback()
def config() -> None:
    """The settings in force."""


@app.command()
def show(
    everything: Annotated[bool, typer.Option("--all", help="Defaults too.")] = False,
    as_json: Json = False,
) -> None:
    """Print each setting, its value and its source; secrets as ***.

    Example: endcap config show --all
    """
    settings = load_settings()
    _ = settings.broker  # what contradicts itself is said here as well
    sources = _sources()
    rows = {
        name: {"value": _shown(getattr(settings, name)), "source": sources.get(name, "default")}
        for name in Settings.model_fields
    }
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("setting", "value", "source", box=None)
    for name, row in rows.items():
        if everything or row["source"] != "default":
            table.add_row(name, json.dumps(row["value"]), row["source"])
    screen.print(table)


def _sources() -> Mapping[str, str]:
    """Of each that is set: where."""
    found = dict.fromkeys(settings_in_file(), "endcap.toml")
    found |= {name: str(path) for name, path in secret_files(SECRETS).items()}
    environment = {name.upper() for name in os.environ}
    found |= {
        name: f"ENDCAP_{name.upper()}"
        for name in Settings.model_fields
        if f"ENDCAP_{name.upper()}" in environment
    }
    return found


def _shown(value: Any) -> Any:
    """As JSON takes it, without what nobody may see."""
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else ""
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if _tells(key) and held else _shown(held) for key, held in value.items()
        }
    if isinstance(value, list | tuple):
        return [_shown(each) for each in value]
    if isinstance(value, str):
        return _without_password(value)
    return value if isinstance(value, bool | int | float | None) else str(value)


def _tells(key: str) -> bool:
    plain = key.lower().replace("_", "").replace("-", "")
    return any(word in plain for word in _TELLING)


def _without_password(text: str) -> str:
    """
    >>> _without_password("rediss://ann:pw@store:6379/0"), _without_password("broker:9092")
    ('rediss://ann:***@store:6379/0', 'broker:9092')
    >>> _without_password("redis://store:6379/0?password=pw&db=1")
    'redis://store:6379/0?password=***&db=1'
    >>> _without_password("redis://ann:p/w@store:6379/0")  # one that should have been escaped
    'redis://***@store:6379/0'
    """
    if "://" not in text:
        return text
    scheme, _, behind = text.partition("://")
    parts = urlsplit(text)
    shown = [
        f"{name}={HIDDEN}" if is_set and _tells(name) else f"{name}{is_set}{value}"
        for name, is_set, value in (each.partition("=") for each in parts.query.split("&"))
    ]
    if "@" not in behind:
        return urlunsplit(parts._replace(query="&".join(shown)))
    if "@" not in parts.netloc:
        return f"{scheme}://{HIDDEN}@{behind.rpartition('@')[2]}"
    user, _, where = parts.netloc.rpartition("@")
    told = parts._replace(netloc=f"{user.partition(':')[0]}:{HIDDEN}@{where}")
    return urlunsplit(told._replace(query="&".join(shown)))
