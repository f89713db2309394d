"""The client for threads."""

import time
from collections.abc import Sequence
from typing import Self

from endcap.catalogue import CatalogueItem
from endcap.client.answers import Answer, Observation
from endcap.client.chain import Look, links, look
from endcap.client.errors import ClientError, ListsUnavailableError, RequestError
from endcap.client.facts import fact_commands, known_items
from endcap.client.options import Options
from endcap.client.sync_reads import ClusterNodes, OneServer, Reads
from endcap.client.tries import Tries, name_of

_DEFAULTS = Options()


class Client:
    """Reads lists; share one between all threads of a process. Nothing connects before it reads."""

    def __init__(self, reads: Reads, options: Options = _DEFAULTS) -> None:
        """See `connect` and `connect_to_cluster`."""
        self._reads = reads
        self._options = options

    @classmethod
    def connect(cls, url: str, options: Options = _DEFAULTS) -> Self:
        """One server, or one with replicas behind one address.

        Raises:
            RequestError: the URL is none.
        """
        return cls(OneServer(url, options), options)

    @classmethod
    def connect_to_cluster(cls, *urls: str, options: Options = _DEFAULTS) -> Self:
        """A Redis Cluster, met at one of these nodes; user and password are those of the first.

        Raises:
            RequestError: a URL is none.
        """
        return cls(ClusterNodes(urls, options), options)

    def recommend(
        self,
        user: str | None = None,
        *,
        last_item: str | None = None,
        category: str | None = None,
        size: int = 20,
    ) -> Answer:
        """The shopper's own list; else what goes with the last item, what trends in the category,
        what trends. One round trip; on a cluster one to each node that holds a key, side by side.

        Where a better list cannot be read, a lesser one is given, with the `problem`.

        Raises:
            RequestError: the arguments cannot be.
            ListsUnavailableError: no answer, tries again included, and nothing to show.
            ReadRefusedError: Redis refused, and there is nothing to show.
            UnreadableValueError: there is nothing to show but what is no list.
        """
        return self._look(user, last_item, category, size).answer_or_raise()

    def recommend_or_nothing(
        self,
        user: str | None = None,
        *,
        last_item: str | None = None,
        category: str | None = None,
        size: int = 20,
    ) -> Answer:
        """As `recommend`; where that raises, no items, `none` as source, and the `problem`."""
        try:
            return self._look(user, last_item, category, size).answer
        except RequestError as error:
            return Answer("none", problem=str(error))

    def items(self, ids: Sequence[str]) -> dict[str, CatalogueItem]:
        """Titles, prices and so on, in one round trip; unknown ids are left out.

        Raises:
            ClientError: something could not be read; see `recommend`.
        """
        items, problem = self._items(ids)
        if problem is not None:
            raise problem
        return items

    def items_or_nothing(self, ids: Sequence[str]) -> dict[str, CatalogueItem]:
        """As `items`, without what could not be read."""
        try:
            return self._items(ids)[0]
        except RequestError:
            return {}

    def close(self) -> None:
        """Give the connections back."""
        self._reads.close()

    def __enter__(self) -> Self:
        """Itself, closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _look(
        self, user: str | None, last_item: str | None, category: str | None, size: int
    ) -> Look:
        wanted = links(user, last_item, category, size)
        tries = Tries(self._options)
        commands = [("GET", link.key) for link in wanted]
        found = look(wanted, self._reads.ask(commands), size)
        while not found.is_settled and (pause_s := tries.next_pause_s()) is not None:
            time.sleep(pause_s)
            again = look(wanted, self._reads.ask(commands), size)
            # What a try has found is not lost by one that finds less.
            if again.answer.items or not found.answer.items:
                found = again
        tries.report(Observation("list", found.answer.source, name_of(found.problem)))
        return found

    def _items(self, ids: Sequence[str]) -> tuple[dict[str, CatalogueItem], ClientError | None]:
        commands = fact_commands(ids)
        if not commands:
            return {}, None
        tries = Tries(self._options)
        items, problem = known_items(ids, self._reads.ask(commands))
        while isinstance(problem, ListsUnavailableError):
            if (pause_s := tries.next_pause_s()) is None:
                break
            time.sleep(pause_s)
            items, problem = known_items(ids, self._reads.ask(commands))
        tries.report(Observation("items", "", name_of(problem)))
        return items, problem
