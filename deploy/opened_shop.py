"""What the storefront page needs beside the API, opened for as long as the server runs."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from endcap.bundle import Bundle
from endcap.catalogue import CatalogueItem
from endcap.deploy.bundle_signatures import load_trusted
from endcap.deploy.models_file import read_models
from endcap.deploy.rules_watch import LOOK_S
from endcap.deploy.settings import Settings
from endcap.deploy.stopping import cancelled
from endcap.deploy.text_index import open_text_index
from endcap.errors import BrokerUnavailableError, EndcapError
from endcap.serving.guard import Access
from endcap.serving.list_changes import ListChanges
from endcap.serving.rescore_queue import LateQueue
from endcap.serving.shop_routes import Shop
from endcap.serving.shop_rules import ShopRules
from endcap.serving.shop_shelves import ShopShelves
from endcap.streams.topic_follower import TopicFollower
from endcap.streams.topic_view import TopicView, catalogue_view
from endcap.text import TextIndex, Understood, find_items

log = logging.getLogger(__name__)
_FIRST_RETRY_S, _LAST_RETRY_S = 0.5, 10.0


def has_shop(settings: Settings, access: Access) -> bool:
    """False where it is switched off, or keys are on, which no page could keep."""
    return settings.http_shop and access.keys is None


@asynccontextmanager
async def opened_products(
    settings: Settings, access: Access
) -> AsyncIterator["PublishedOrTrained | None"]:
    """What is sold, read once for the shop and the assistant; None where there is neither."""
    if not has_shop(settings, access) and not settings.assistant:
        yield None
        return
    async with AsyncExitStack() as closing:
        view = catalogue_view(settings.broker, settings.topics)
        closing.push_async_callback(view.stop)
        starting = started_view(view, "what shows products")
        closing.push_async_callback(cancelled, asyncio.create_task(starting))
        yield PublishedOrTrained(view, settings)


@asynccontextmanager
async def opened_shop(
    settings: Settings,
    access: Access,
    products: "PublishedOrTrained | None",
    queue: LateQueue | None,
    rules: ShopRules,
) -> AsyncIterator[Shop | None]:
    """The shop; None where there is none."""
    if products is None or not has_shop(settings, access):
        yield None
        return
    async with AsyncExitStack() as closing:
        changes = ListChanges(settings.store)
        for task in (changes.run(), _told(changes, rules)):
            closing.push_async_callback(cancelled, asyncio.create_task(task))
        words = None if queue is None else BundleWords(queue, settings)
        yield Shop(ShopShelves(products), changes, queue, words)


class PublishedOrTrained:
    """The catalogue topic; where that is empty, the items of the model's bundle."""

    def __init__(self, view: TopicView[CatalogueItem], settings: Settings) -> None:
        self._view = view
        self._settings = settings
        self._trained: tuple[CatalogueItem, ...] | None = None

    @property
    def changes(self) -> int:
        """Rises when the topic has brought something."""
        return self._view.changes

    def values(self) -> Sequence[CatalogueItem]:
        """All."""
        published = self._view.values()
        if published:
            self._trained = None
            return published
        if self._trained is None:
            try:
                self._trained = load_trusted(bundle_folder(self._settings), self._settings).items
            except EndcapError as error:
                log.warning("%s The shop has no products until its catalogue is published.", error)
                return ()
        return self._trained


class BundleWords:
    """Finds items by the words of the bundle that scores now; opened when they are first asked."""

    def __init__(self, queue: LateQueue, settings: Settings) -> None:
        self._queue = queue
        self._settings = settings
        self._opened: tuple[Bundle, TextIndex] | None = None
        self._opening = threading.Lock()

    def find(self, sentence: str) -> tuple[Understood, Bundle]:
        """The phrases, and the bundle whose indexes they name.

        Raises:
            EndcapError: there is no model, or it has no words.
        """
        bundle = self._queue.bundle
        index = self._index(bundle)
        return find_items(sentence, index, bundle.generators.sold_first), bundle

    def _index(self, bundle: Bundle) -> TextIndex:
        with self._opening:
            if self._opened is None or self._opened[0] is not bundle:
                # Another bundle may lie there by now: its words are refused by their hash.
                index = open_text_index(bundle_folder(self._settings), bundle)
                self._opened = (bundle, index)
            return self._opened[1]


def bundle_folder(settings: Settings) -> Path:
    """Where the bundle lies that is to score.

    Raises:
        EndcapError: the file that names it cannot be read.
    """
    current = read_models(settings.models_path).current
    return settings.bundle if current is None else Path(current.bundle)


async def _told(changes: ListChanges, rules: ShopRules) -> None:
    """Pages that listen hear of new rules too."""
    told = rules.rules
    while True:
        await asyncio.sleep(LOOK_S)
        if rules.rules is not told:
            told = rules.rules
            changes.wake_all()


async def started_view(view: TopicFollower, whose: str) -> None:
    """Read a topic for somebody, as soon as a broker answers."""
    retry_s = _FIRST_RETRY_S
    while True:
        try:
            await view.start()
        except BrokerUnavailableError as error:
            log.warning("%s Until then %s goes on without it.", error, whose)
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, _LAST_RETRY_S)
        else:
            return
