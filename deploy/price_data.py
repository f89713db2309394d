"""The panel that prices are made from: a shop's own file, or Complete Journey's weeks."""

from pathlib import Path
from typing import TYPE_CHECKING

from endcap.errors import RuntimeConflictError

if TYPE_CHECKING:
    from endcap.pricing.panel import Panel


def need_pricing() -> None:
    """Say which extra is missing before a traceback does.

    Raises:
        RuntimeConflictError: scikit-learn, statsmodels, scipy or polars is not installed.
    """
    try:
        import polars
        import scipy
        import sklearn
        import statsmodels  # noqa: F401
    except ImportError as error:
        raise RuntimeConflictError(
            f"Prices need the package {error.name}: pip install 'endcap[pricing]'."
        ) from error


def load_panel(file: Path | None) -> "Panel":
    """The file's panel; Complete Journey's where none is named.

    Raises:
        DataError: it cannot be read, or Complete Journey is not installed.
        RuntimeConflictError: the extra `pricing` is not installed.
    """
    need_pricing()
    from endcap.pricing.panel import panel_of, read_panel

    if file is not None:
        return read_panel(file)
    from endcap.export.completejourney import data_folder
    from endcap.pricing.completejourney import weekly_table

    return panel_of(weekly_table(data_folder()))
