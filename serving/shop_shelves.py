"""The catalogue as a shop shows it: departments, their categories, pages, and titles by words."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from endcap.catalogue import CatalogueItem
from endcap.serving.shop_names import shelf_title, written_out
from endcap.text.phrases import stem
from endcap.text.wordpiece import split_words

PAGE = 24
"""Products a page: whole rows of two, three and four."""
MAX_AGE_S = 5.0
_LEAST_PREFIX = 3


class Products(Protocol):
    """What the shop sells."""

    @property
    def changes(self) -> int:
        """Rises when it changes."""
        ...

    def values(self) -> Sequence[CatalogueItem]:
        """All, the most important first. Called in a thread."""
        ...


class CategoryShown(msgspec.Struct, frozen=True):
    """A category, its name in full, and how many products it has."""

    name: str
    shelf: str
    products: int


class DepartmentShown(msgspec.Struct, frozen=True):
    """A department and its categories, the largest first."""

    name: str
    products: int
    categories: Sequence[CategoryShown]


class Page(NamedTuple):
    """One page, from 1, of `total` products."""

    items: Sequence[CatalogueItem]
    number: int
    total: int

    @property
    def pages(self) -> int:
        """How many there are, 1 at least."""
        return max(1, -(-self.total // PAGE))


def page_of(items: Sequence[CatalogueItem], number: int) -> Page:
    """A page; one beyond the last is empty.

    >>> page_of([CatalogueItem("1", "Milk")], 1).pages, page_of([], 3)
    (1, Page(items=[], number=3, total=0))
    """
    return Page(items[(number - 1) * PAGE : number * PAGE], number, len(items))


class Shelves:
    """An index of what is in stock at one moment."""

    def __init__(self, items: Iterable[CatalogueItem]) -> None:
        self.of_id: dict[str, CatalogueItem] = {}
        self._of_category: dict[str, list[CatalogueItem]] = {}
        self._of_department: dict[str, dict[str, int]] = {}
        self._with_word: dict[str, list[int]] = {}
        self._ordered: list[CatalogueItem] = []
        for item in items:
            self.of_id[item.item_id] = item
            if not item.is_sold_out:
                self._put(item)

    def departments(self) -> list[DepartmentShown]:
        """The largest first."""
        shown = [
            DepartmentShown(
                written_out(name),
                sum(counts.values()),
                [
                    CategoryShown(category, written_out(category), count)
                    for category, count in sorted(counts.items(), key=lambda each: -each[1])
                ],
            )
            for name, counts in self._of_department.items()
        ]
        return sorted(shown, key=lambda each: -each.products)

    def category(self, name: str) -> Sequence[CatalogueItem]:
        """Its products; none where there is no such category."""
        return self._of_category.get(name, ())

    def titled(self, words: str) -> list[CatalogueItem]:
        """Products whose title or category has all these words, as written or in full; in a title
        counts more.

        >>> shelves = Shelves([CatalogueItem("1", "Oat milk"), CatalogueItem("2", "Milk, 1 l")])
        >>> [item.item_id for item in shelves.titled("milks oat")]
        ['1']
        """
        wanted = [stem(word) for word in split_words(words) if word.isalnum()]
        if not wanted:
            return []
        found = set(self._places(wanted[0], is_last=len(wanted) == 1))
        for number, word in enumerate(wanted[1:], start=2):
            found &= self._places(word, is_last=number == len(wanted))
        return [self._ordered[at] for at in sorted(found, key=lambda at: self._rank(at, wanted))]

    def _put(self, item: CatalogueItem) -> None:
        if item.category:
            self._of_category.setdefault(item.category, []).append(item)
            counts = self._of_department.setdefault(item.department or "Everything else", {})
            counts[item.category] = counts.get(item.category, 0) + 1
        at = len(self._ordered)
        self._ordered.append(item)
        written = f"{item.title} {item.category}"
        for word in {stem(word) for word in split_words(f"{written} {_in_full(item)}")}:
            if word.isalnum():
                self._with_word.setdefault(word, []).append(at)

    def _places(self, word: str, is_last: bool) -> set[int]:
        """Of the last word a beginning is enough: somebody is still typing."""
        exact = set(self._with_word.get(word, ()))
        if exact or not is_last or len(word) < _LEAST_PREFIX:
            return exact
        return {
            at
            for known, places in self._with_word.items()
            if known.startswith(word)
            for at in places
        }

    def _rank(self, at: int, wanted: Sequence[str]) -> tuple[int, int, int]:
        item = self._ordered[at]
        title = [stem(word) for word in split_words(f"{shelf_title(item)} {item.title}")]
        missing = sum(word not in title for word in wanted)
        starts = 0 if title and title[0] in wanted else 1
        return missing, starts, at


def _in_full(item: CatalogueItem) -> str:
    return f"{shelf_title(item)} {written_out(item.category)}"


class ShopShelves:
    """The newest shelves, at most `MAX_AGE_S` behind the products; made in a thread.

    12,000 products take 0.4 s of a core: not to be spent on each change of one of them.
    """

    def __init__(self, products: Products, clock: Callable[[], float] = time.monotonic) -> None:
        self._products = products
        self._clock = clock
        self._made_of = -1
        self._not_before = 0.0
        self._shelves = Shelves(())
        self._making = asyncio.Lock()

    async def now(self) -> Shelves:
        """The shelves of this moment."""
        async with self._making:
            changes = self._products.changes
            if changes != self._made_of and self._clock() >= self._not_before:
                self._shelves = await asyncio.to_thread(self._made)
                self._made_of = changes
                self._not_before = self._clock() + MAX_AGE_S
        return self._shelves

    def _made(self) -> Shelves:
        return Shelves(self._products.values())
