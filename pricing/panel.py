"""A weekly panel: what each item sold, at which prices and with which promotion.

A panel knows items and weeks, never people: no price that is made from it can be personal.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.exceptions import PolarsError

from endcap.errors import DataError

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

MEASURES = ("units", "lines", "price", "regular_price", "display", "mailer", "front_page")
_REQUIRED = {"item_id", "week", "units", "price"}
_TEXTS = ("title", "category", "department", "family", "brand")
_PERSONAL = ("user", "household", "customer", "shopper", "person", "loyalty_id", "card")


class Item(NamedTuple):
    """What is fixed of an item. `size` in the family's unit (ounces, counts); 0: not known."""

    item_id: str
    title: str
    category: str
    department: str
    family: str
    brand: str
    size: float


class Plan(NamedTuple):
    """What a shop has decided for a week to come, by item: (I,) each.

    `price` and `regular_price` in the shop's currency, the first as paid by everybody;
    `display`, `mailer` and `front_page` are shares of stores from 0 to 1.
    """

    price: Array
    regular_price: Array
    display: Array
    mailer: Array
    front_page: Array


@dataclass(frozen=True)
class Panel:
    """Matrices of shape (I, W), items by weeks.

    `units` sold, `lines` (baskets with the item), `price` paid by everybody after the shelf's own
    discounts, `regular_price` without them, and the shares of stores with a `display`, in the
    `mailer` and on its `front_page`. A price is NaN in a week in which nobody saw it. `weeks` are
    consecutive.
    """

    items: tuple[Item, ...]
    weeks: tuple[int, ...]
    units: Array
    lines: Array
    price: Array
    regular_price: Array
    display: Array
    mailer: Array
    front_page: Array

    def first_weeks(self, number: int) -> Self:
        """What was known after the first `number` weeks: nothing later is in it."""
        return self._of(slice(None), slice(0, number), self.items, self.weeks[:number])

    def last_weeks(self, number: int) -> Self:
        """The newest `number` weeks."""
        return self._of(slice(None), slice(-number, None), self.items, self.weeks[-number:])

    def only(self, places: Rows) -> Self:
        """Some of the items, by their rows."""
        items = tuple(self.items[place] for place in places)
        return self._of(places, slice(None), items, self.weeks)

    def plan(self, place: int, history: "Panel") -> Plan:
        """What was decided for the week at `place`; a price that nobody saw is the last one of
        `history`."""
        last = history.carried()
        price, regular = self.price[:, place], self.regular_price[:, place]
        return Plan(
            np.where(np.isnan(price), last.price[:, -1], price),
            np.where(np.isnan(regular), last.regular_price[:, -1], regular),
            self.display[:, place],
            self.mailer[:, place],
            self.front_page[:, place],
        )

    def carried(self) -> Self:
        """Each price that nobody saw is the last one seen before, or the first one seen at all."""
        price = _carried(self.price)
        regular = np.fmax(_carried(self.regular_price), price)
        return self._with(price, regular)

    def places_of(self, category: str) -> Rows:
        """The rows of a category, whatever its case.

        Raises:
            DataError: there is none; near names are told.
        """
        wished = category.casefold()
        found = [n for n, item in enumerate(self.items) if item.category.casefold() == wished]
        if not found:
            near = sorted({i.category for i in self.items if wished in i.category.casefold()})
            hint = (
                f"There are {', '.join(near[:8])}."
                if near
                else "`endcap price categories` lists them."
            )
            raise DataError(f"No item of the panel is in the category {category!r}. {hint}")
        return np.array(found, dtype=np.intp)

    def row_of(self, item_id: str) -> int:
        """The row of an item.

        Raises:
            DataError: the panel does not have it.
        """
        for n, item in enumerate(self.items):
            if item.item_id == item_id:
                return n
        raise DataError(
            f"The panel has no item {item_id!r}: it sold in too few weeks, or the id is wrong. "
            "`endcap price elasticity --category NAME` lists ids."
        )

    def _of(
        self, rows: object, columns: slice, items: tuple[Item, ...], weeks: tuple[int, ...]
    ) -> Self:
        cut = {name: getattr(self, name)[rows][:, columns] for name in MEASURES}
        return type(self)(items, weeks, **cut)

    def _with(self, price: Array, regular: Array) -> Self:
        rest = {name: getattr(self, name) for name in MEASURES}
        return type(self)(
            self.items, self.weeks, **(rest | {"price": price, "regular_price": regular})
        )


def panel_of(table: pl.DataFrame) -> Panel:
    """A panel from one row an item and week.

    Needed columns: `item_id`, `week` (an integer that rises by 1), `units`, `price`. Others that
    it knows: `lines`, `regular_price`, `display`, `mailer`, `front_page`, `title`, `category`,
    `department`, `family`, `brand`, `size`. A pair of item and week without a row sold nothing.

    Raises:
        DataError: a column is missing, is about people, or holds what it must not.
    """
    _check(table)
    first, last = int(table["week"].min()), int(table["week"].max())  # type: ignore[arg-type]
    weeks = tuple(range(first, last + 1))
    for name in _TEXTS:
        if name not in table.columns:
            table = table.with_columns(pl.lit("").alias(name))
    fills = {"lines": pl.col("units"), "regular_price": pl.col("price"), "size": pl.lit(0.0)}
    fills |= {name: pl.lit(0.0) for name in ("display", "mailer", "front_page")}
    missing = [expr.alias(name) for name, expr in fills.items() if name not in table.columns]
    table = table.with_columns(missing).sort("item_id", "week")
    known = table.group_by("item_id", maintain_order=True).agg(
        pl.col(*_TEXTS).last(), pl.col("size").cast(pl.Float64).last()
    )
    items = tuple(
        Item(
            item_id=r["item_id"],
            title=r["title"] or "",
            category=r["category"] or "",
            department=r["department"] or "",
            family=r["family"] or "",
            brand=r["brand"] or "",
            size=r["size"] or 0.0,
        )
        for r in known.iter_rows(named=True)
    )
    places = {item.item_id: n for n, item in enumerate(items)}
    rows = np.array([places[item_id] for item_id in table["item_id"]], dtype=np.intp)
    columns = (table["week"] - first).to_numpy().astype(np.intp)
    cells = {}
    for name in MEASURES:
        empty = np.nan if name.endswith("price") else 0.0
        cell = np.full((len(items), len(weeks)), empty)
        cell[rows, columns] = table[name].cast(pl.Float64).fill_null(empty).to_numpy()
        cells[name] = cell
    return Panel(items, weeks, **cells)


def read_panel(file: Path) -> Panel:
    """A panel from a Parquet or CSV file; see `panel_of` for its columns.

    Raises:
        DataError: it cannot be read, or not as a panel.
    """
    return panel_of(read_table(file))


def read_table(file: Path) -> pl.DataFrame:
    """The file as it lies.

    Raises:
        DataError: it cannot be read.
    """
    try:
        if file.suffix == ".csv":
            return pl.read_csv(file, schema_overrides={"item_id": pl.String})
        return pl.read_parquet(file)
    except (OSError, PolarsError) as error:
        raise DataError(
            f"{file} cannot be read as a panel ({error}). It is Parquet, or CSV where its name "
            "ends so, one row an item and week; docs/prices.md has the columns."
        ) from error


def _check(table: pl.DataFrame) -> None:
    missing = _REQUIRED - set(table.columns)
    if missing:
        raise DataError(
            f"The panel lacks {', '.join(sorted(missing))}; docs/prices.md has its columns."
        )
    personal = [c for c in table.columns if any(word in c.casefold() for word in _PERSONAL)]
    if personal:
        raise DataError(
            f"The panel has columns about people ({', '.join(personal)}). Prices are the same for "
            "everyone: sum over shoppers first (docs/ethics.md)."
        )
    if table.is_empty():
        raise DataError("The panel has no rows: no history, no prices. Give some weeks of sales.")
    if not table["week"].dtype.is_integer():
        raise DataError("The panel's week must be an integer that rises by 1 from week to week.")
    if table.select("item_id", "week").is_duplicated().any():
        raise DataError("The panel has two rows for one item and week; sum them first.")
    numbers = [name for name in MEASURES if name in table.columns]
    for name in numbers:
        if not table[name].dtype.is_numeric():
            raise DataError(f"The panel's {name} must be numbers, not {table[name].dtype}.")
        found = table[name].cast(pl.Float64)
        if (found < 0).any() or found.is_infinite().any():
            raise DataError(f"The panel's {name} holds a negative or infinite number.")
    if (table["price"] == 0).any():
        raise DataError("The panel holds a price of 0; leave it empty where it was not seen.")


def _carried(price: Array) -> Array:
    weeks = np.where(np.isnan(price), -1, np.arange(price.shape[1]))
    last = np.maximum.accumulate(weeks, axis=1)
    first = np.argmax(weeks >= 0, axis=1)[:, None]
    return np.take_along_axis(price, np.where(last < 0, first, last), axis=1)
