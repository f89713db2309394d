"""What somebody types into the search box: plain words that titles have, or a sentence."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from endcap.bundle import Bundle
from endcap.catalogue import CatalogueItem
from endcap.errors import EndcapError
from endcap.lists import ListItem
from endcap.policy import Policy
from endcap.serving.cart_session import cart_session
from endcap.serving.rescore_queue import Scoring
from endcap.serving.shop_shelves import Shelves
from endcap.text import Understood
from endcap.text.small_words import AND, STOP
from endcap.text.wordpiece import split_words

MAX_LETTERS = 500
RECOMMENDED = 12
_BREAKS = frozenset(",;.!?")


class WordsFinder(Protocol):
    """Which items of a model's catalogue a sentence names."""

    def find(self, sentence: str) -> tuple[Understood, Bundle]:
        """The phrases, and the bundle whose indexes they name. Called in a thread.

        Raises:
            EndcapError: there is no model, or it has no words; the message says what to do.
        """
        ...


class Named(NamedTuple):
    """A phrase, and products that it names and that are sold."""

    phrase: str
    similarity: float
    items: Sequence[CatalogueItem]


class Meaning(NamedTuple):
    """What a sentence names; `nothing_like`: phrases that the catalogue has nothing like."""

    named: Sequence[Named]
    nothing_like: Sequence[str]


def is_sentence(words: str) -> bool:
    """Whether somebody talks to us, in place of naming what titles have.

    >>> [is_sentence(said) for said in ("oat milk", "I bought milk", "milk, eggs")]
    [False, True, True]
    """
    split = split_words(words)
    return any(word in STOP or word in AND or word in _BREAKS for word in split)


def meaning(understood: Understood, bundle: Bundle, shelves: Shelves) -> Meaning:
    """In products that are sold now."""
    named: list[Named] = []
    nothing = list(understood.nothing_like)
    for mention in understood.mentions:
        ids = [bundle.item(index).item_id for index in mention.items]
        sold = [shelves.of_id[each] for each in ids if each in shelves.of_id]
        sold = [item for item in sold if item.in_stock]
        if sold:
            named.append(Named(mention.phrase, mention.similarity, sold))
        else:
            nothing.append(mention.phrase)
    return Meaning(named, nothing)


async def goes_with(found: Meaning, queue: Scoring) -> Sequence[ListItem]:
    """Recommendations for a cart of the first product of each phrase.

    Raises:
        EndcapError: nothing scores now; the message says why.
    """
    chosen = [each.items[0].item_id for each in found.named]
    ready = await queue.rescore(cart_session(chosen), Policy(size=RECOMMENDED))
    return ready.items


def unscored(error: EndcapError | None) -> str:
    """Why there are products and no recommendations."""
    if error is not None:
        return str(error)
    return "This server recommends nothing for words: set ENDCAP_HTTP_RESCORE=true."
