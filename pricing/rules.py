"""What a shop allows its prices to do: a YAML file, checked before anything is computed."""

from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from endcap.errors import DataError, SettingsError
from endcap.pricing.panel import Array, Panel

ASSUMED_MARGIN = 0.3


class Ladder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Items from the cheapest up; each costs at least `gap` (a share) more than the one before."""

    items: tuple[str, ...]
    gap: float = 0.0


class PriceRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The constraints of a suggestion. Shares are of 1: 0.1 is 10 %.

    `endings`: the last digits of a price in cents, 9 or 99. `largest_change`: at one time, of
    today's price. `beyond_seen`: how far outside of prices that were ever seen. `least_margin`: of
    the price, above cost. `changes`: prices that change at most. `size_ladders`: a larger size of a
    family costs no less, and a unit of it no more. `same_sizes`: equals of a family keep one price.
    `hold_unknown`: an item whose price hardly ever moved keeps it. `costs`: a CSV file of item_id
    and cost; `margins`: shares of the regular price by department, where costs are not known.
    """

    objective: Literal["margin", "revenue"] = "margin"
    endings: tuple[int, ...] = (9,)
    largest_change: float = 0.1
    beyond_seen: float = 0.05
    least_margin: float = 0.05
    changes: int | None = None
    size_ladders: bool = True
    same_sizes: bool = True
    hold_unknown: bool = True
    ladders: tuple[Ladder, ...] = ()
    costs: str | None = None
    margins: dict[str, float] = {}

    def __post_init__(self) -> None:
        shares = {
            "largest_change": (self.largest_change, 0.0, 0.5),
            "beyond_seen": (self.beyond_seen, 0.0, 0.5),
            "least_margin": (self.least_margin, 0.0, 0.9),
        }
        shares |= {f"margins.{name}": (share, 0.0, 0.95) for name, share in self.margins.items()}
        shares |= {f"ladders[{n}].gap": (one.gap, 0.0, 1.0) for n, one in enumerate(self.ladders)}
        for name, (value, least, most) in shares.items():
            if not least <= value <= most:
                raise ValueError(f"{name} must lie between {least:g} and {most:g}, not {value:g}")
        if not self.endings or any(not 0 <= ending <= 99 for ending in self.endings):
            raise ValueError("endings are numbers from 0 to 99, such as [9] or [49, 99]")
        if self.changes is not None and self.changes < 0:
            raise ValueError("changes must not be negative")
        if any(len(set(one.items)) < 2 for one in self.ladders):
            raise ValueError("a ladder names two different items at least")


def read_rules(file: Path | None) -> PriceRules:
    """The rules of a YAML file; the defaults where none is named.

    Raises:
        SettingsError: it cannot be read, or says what is not allowed; the place is named.
    """
    if file is None:
        return PriceRules()
    try:
        found = msgspec.yaml.decode(file.read_bytes() or b"{}", type=PriceRules)
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: {error}. docs/prices.md has all of its fields.") from error
    if found.costs is not None:
        found = msgspec.structs.replace(found, costs=str(file.parent / found.costs))
    return found


class Costs:
    """What a piece costs the shop, by item (I,); `told` says where that is from, for every
    output."""

    def __init__(self, panel: Panel, rules: PriceRules) -> None:
        regular = panel.carried().regular_price[:, -1]
        margins = [
            rules.margins.get(item.department, rules.margins.get("other", ASSUMED_MARGIN))
            for item in panel.items
        ]
        self.each: Array = np.asarray(regular * (1 - np.array(margins)))
        known = {} if rules.costs is None else read_costs(Path(rules.costs))
        for row, item in enumerate(panel.items):
            if item.item_id in known:
                self.each[row] = known[item.item_id]
        self.known = sum(item.item_id in known for item in panel.items)
        assumed = len(panel.items) - self.known
        self.told = f"costs of {self.known} items are from {rules.costs}" if self.known else ""
        if assumed:
            shares = sorted({f"{share:.0%}" for share in margins})
            self.told += "; " * bool(self.told) + (
                f"costs of {assumed} items are ASSUMED, not known: a margin of "
                f"{', '.join(shares)} of the regular price"
            )


def read_costs(file: Path) -> dict[str, float]:
    """A CSV file of item_id and cost.

    Raises:
        DataError: it cannot be read, or a cost is not a number of 0 or more.
    """
    try:
        table = pl.read_csv(file, schema_overrides={"item_id": pl.String, "cost": pl.Float64})
        rows: Any = table.select("item_id", "cost").rows()
    except (OSError, PolarsError) as error:
        raise DataError(
            f"{file} cannot be read as costs ({error}). It is CSV: item_id, cost."
        ) from error
    wrong = [item for item, cost in rows if cost is None or not 0 <= cost < float("inf")]
    if wrong:
        raise DataError(f"{file}: the cost of item {wrong[0]} must be a number of 0 or more.")
    return dict(rows)
