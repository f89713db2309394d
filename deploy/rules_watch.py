"""Follow the rules, in a file or in Redis: check what is new as a whole, then put it in force."""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from endcap.counted import counted
from endcap.deploy.settings import Settings
from endcap.errors import EndcapError, SettingsError, StoreUnavailableError
from endcap.messages import ENGLISH, Messages, parse_messages
from endcap.rules import RuleSet, parse_rules
from endcap.serving import rules_metrics as metrics
from endcap.serving.rules_store import Applied, RulesStore
from endcap.serving.shop_rules import ShopRules

log = logging.getLogger(__name__)

LOOK_S = 0.5
_LONGEST_PAUSE_S = 5.0
_BACK = 50
"""So many entries are looked at for one that can be used, where a process starts and the newest is
none."""


class Found(NamedTuple):
    """Rules where they lie: `version` changes with them; `said`: who changed them, and when."""

    version: str
    text: str
    said: str


class RulesSource(Protocol):
    """Where rules lie."""

    async def newest(self) -> Found | None:
        """What lies there now; None: nothing."""
        ...

    async def before(self) -> list[Found] | None:
        """What was there before, the newest first; None where no history is kept."""
        ...

    async def close(self) -> None:
        """Give back what it holds."""
        ...


class RulesWatch:
    """Looks every half second. `run()` returns after `stop()`."""

    def __init__(self, source: RulesSource, shop: ShopRules, look_s: float = LOOK_S) -> None:
        self._source = source
        self._shop = shop
        self._look_s = look_s
        self._seen: str | None = None
        self._is_in_force = False
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Return from `run()`."""
        self._stopping.set()

    async def start(self) -> None:
        """Put in force what lies there, before the first list is made.

        A store that is away is asked again later. Where the newest cannot be used and there is a
        history, the newest of it that can is in force.

        Raises:
            SettingsError: they cannot be read, or cannot be used and have no history.
        """
        try:
            found = await self._source.newest()
            if found is not None:
                await self._follow(found)
        except StoreUnavailableError as error:
            metrics.RETRIES.inc()
            log.warning("%s There are no rules until it answers.", error)

    async def run(self) -> None:
        """Look until stopped. What goes wrong is logged and counted; the rules stay in force."""
        pause_s = self._look_s
        while not self._stopping.is_set():
            try:
                await self._look()
                pause_s = self._look_s
            except EndcapError as error:
                metrics.RETRIES.inc()
                pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)
                log.warning("%s The rules stay as they are.", error)
            except Exception:
                metrics.RETRIES.inc()
                pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)
                log.exception("The rules could not be followed. Those before stay in force.")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
        await self._source.close()

    async def _look(self) -> None:
        found = await self._source.newest()
        version = None if found is None else found.version
        if version == self._seen:
            return
        if found is None:
            self._seen = None
            log.warning("The rules are gone from where they lay; the last ones stay in force.")
            return
        await self._follow(found)

    async def _follow(self, found: Found) -> None:
        """Put it in force. Where it cannot be used those before stay; where none were in force yet,
        because the process starts or Redis was away till now, the history has them.

        Raises:
            FileMistakesError: it cannot be used, none were in force yet, and there is no history.
            StoreUnavailableError: the history could not be read; the next look tries again.
        """
        try:
            await self._put(found)
        except EndcapError as error:
            earlier = [] if self._is_in_force else await self._source.before()
            if earlier is None:
                raise
            metrics.CHANGES.labels("refused").inc()
            log.warning("Rules were refused (%s). %s\nThose before stay.", found.said, error)
            if not self._is_in_force:
                await self._put_first_good(earlier)
        self._seen = found.version

    async def _put(self, found: Found) -> None:
        rules = await asyncio.to_thread(parse_rules, found.text, "The rules cannot be used")
        self._shop.replace(rules)
        self._is_in_force = True
        self._tell(found, rules)

    async def _put_first_good(self, earlier: list[Found]) -> None:
        for found in earlier:
            with contextlib.suppress(EndcapError):
                await self._put(found)
                return
        log.warning("No rules that can be used were applied before: none are in force.")

    def _tell(self, found: Found, rules: RuleSet) -> None:
        metrics.CHANGES.labels("in_force").inc()
        metrics.COUNT.set(len(rules.rules))
        metrics.VERSION.info({"version": found.version, "said": found.said})
        log.warning("%s in force: %s.", counted(len(rules.rules), "rule"), found.said)


class RulesFile:
    """A file on this machine; who changed it is who owns it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def newest(self) -> Found | None:
        """What the file says.

        Raises:
            SettingsError: it is not there, or cannot be read.
        """
        return await asyncio.to_thread(self._read)

    async def before(self) -> None:
        """A file has no history."""

    async def close(self) -> None:
        """Nothing is held."""

    def _read(self) -> Found:
        try:
            stamp = self._path.stat()
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{self._path} cannot be read ({error}). Write the rules there, or leave "
                "ENDCAP_RULES_FILE out: then they are those in Redis (`endcap rules apply`)."
            ) from error
        owner = str(stamp.st_uid)
        with contextlib.suppress(KeyError, NotImplementedError):
            owner = self._path.owner()
        changed = datetime.fromtimestamp(stamp.st_mtime, UTC)
        version = f"{stamp.st_ino}-{stamp.st_mtime_ns}-{stamp.st_size}"
        return Found(version, text, f"{self._path}, of {owner}, changed {changed:%F %T} UTC")


class RulesInRedis:
    """The stream that a fleet shares."""

    def __init__(self, store: RulesStore) -> None:
        self._store = store

    async def newest(self) -> Found | None:
        """Raises as `RulesStore.newest` does."""
        newest = await self._store.newest()
        return None if newest is None else _found(newest)

    async def before(self) -> list[Found]:
        """Raises as `RulesStore.newest` does."""
        return [_found(each) for each in (await self._store.history(_BACK))[1:]]

    async def close(self) -> None:
        """Give the connections back."""
        await self._store.close()


def open_rules(settings: Settings) -> tuple[ShopRules, RulesWatch]:
    """The rules and the messages of these settings; the watch must be started.

    Raises:
        SettingsError: the messages cannot be used.
    """
    shop = ShopRules(read_messages(settings))
    return shop, RulesWatch(rules_source(settings), shop)


def rules_source(settings: Settings) -> RulesSource:
    """Where the settings say that rules lie: the file that is named, else Redis."""
    if settings.rules_file is not None:
        return RulesFile(settings.rules_file)
    return RulesInRedis(RulesStore(settings.store))


def read_messages(settings: Settings) -> Messages:
    """The words of reasons.

    Raises:
        SettingsError: the file is not there, or has mistakes.
    """
    path = settings.messages_file
    if path is None:
        return ENGLISH
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path} cannot be read ({error}). Name another by ENDCAP_MESSAGES_FILE."
        ) from error
    return parse_messages(text, str(path))


def _found(applied: Applied) -> Found:
    when = datetime.fromtimestamp(applied.at_ms / 1000, UTC)
    return Found(applied.version, applied.text, f"applied by {applied.who}, {when:%F %T} UTC")
