"""Secrets from files, where an environment would show them: `docker inspect`, a crash report.

`ENDCAP_<NAME>_FILE` names the file of one secret; in the folder that `ENDCAP_SECRETS_DIR` names, a
file `<name>` or `endcap_<name>` holds one each, as Docker and Kubernetes mount them.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from endcap.errors import SettingsError

FOLDER = "ENDCAP_SECRETS_DIR"


class SecretFiles(PydanticBaseSettingsSource):
    """A source of settings; `secrets` are the names that it looks for, and no others."""

    def __init__(self, settings_cls: type[BaseSettings], secrets: Iterable[str]) -> None:
        super().__init__(settings_cls)
        self._secrets = tuple(secrets)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Of one field; what the base class asks for."""
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Those that are in files.

        Raises:
            SettingsError: a file that was named is not there.
        """
        return {name: _read(path) for name, path in secret_files(self._secrets).items()}


def secret_files(secrets: Iterable[str]) -> Mapping[str, Path]:
    """Where each secret is that a file holds.

    Raises:
        SettingsError: one is given in two ways, of which one would be passed over in silence.
    """
    folder = os.environ.get(FOLDER)
    if folder and not Path(folder).is_dir():
        raise SettingsError(f"{FOLDER} is {folder}, which is no folder.")
    found: dict[str, Path] = {}
    for name in secrets:
        variable = f"ENDCAP_{name.upper()}"
        named = os.environ.get(f"{variable}_FILE")
        if named and variable in os.environ:
            raise SettingsError(f"Both {variable} and {variable}_FILE are set; unset one.")
        if named:
            found[name] = Path(named)
        elif folder:
            for mounted in (Path(folder, name), Path(folder, f"endcap_{name}")):
                if mounted.is_file():
                    if variable in os.environ:
                        raise SettingsError(f"{variable} is set, and {mounted} is there; drop one.")
                    found[name] = mounted
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The secret in {path} cannot be read ({error}).") from error
