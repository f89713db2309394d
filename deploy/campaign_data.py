"""What the commands about segments and campaigns read."""

import importlib.util
from typing import TYPE_CHECKING

from endcap.errors import DataError

if TYPE_CHECKING:
    from endcap.marketing.completejourney import Journey


def needs_marketing() -> None:
    """Say what to install, before an import fails halfway.

    Raises:
        DataError: the extra is not installed.
    """
    missing = [
        name
        for name in ("jinja2", "polars", "scipy", "sklearn")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise DataError(f"{', '.join(missing)} is missing: pip install '.[marketing]' in a clone.")


def opened_journey() -> "Journey":
    """Complete Journey's households and campaigns."""
    needs_marketing()
    from endcap.export.completejourney import data_folder
    from endcap.marketing.completejourney import load_journey

    return load_journey(data_folder())
