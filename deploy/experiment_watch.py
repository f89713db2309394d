"""Follow `experiments.yaml` and the models that its variants name: read, load, then replace."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from endcap.deploy.experiments_file import bundle_of, read_experiments
from endcap.deploy.model_watch import file_stamp
from endcap.deploy.models_file import Named, read_models
from endcap.deploy.ready_model import checked_model
from endcap.deploy.settings import Settings
from endcap.errors import ConnectionFailedError, EndcapError
from endcap.lists import RecommendationList
from endcap.serving import metrics
from endcap.serving.model_slot import Model
from endcap.serving.variants import Running, VariantSlot

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""So old at most is what trends in the lists of a holdout when they are made."""
ReadTrending = Callable[[], Awaitable[RecommendationList | None]]


class ExperimentModels:
    """Models of variants, each loaded once for as long as a variant names it."""

    def __init__(self, settings: Settings, open_model: Callable[[Named], Model]) -> None:
        self._settings = settings
        self._open = open_model
        self._loaded: dict[Named, Model] = {}

    def running(self) -> Running:
        """What the files say now.

        Raises:
            EndcapError: a file has a mistake, or a bundle must not be loaded.
        """
        path = self._settings.experiments_path
        shop = read_experiments(path)
        models = read_models(self._settings.models_path)
        now_ms = int(time.time() * 1000)
        named = {
            variant.model: bundle
            for each in shop.experiments
            if each.state(now_ms) != "ended"
            for variant in each.variants
            if (bundle := bundle_of(variant.model, models, path.parent)) is not None
        }
        loaded = {
            bundle: self._loaded.get(bundle) or self._open(bundle) for bundle in named.values()
        }
        self._loaded = loaded
        return Running(shop, {name: loaded[bundle] for name, bundle in named.items()})


class ExperimentWatch:
    """Looks at the files every second. `run()` returns after `stop()`."""

    def __init__(
        self,
        slot: VariantSlot,
        models: ExperimentModels,
        paths: tuple[Path, ...],
        read_trending: ReadTrending,
        look_s: float = LOOK_S,
    ) -> None:
        self._slot = slot
        self._models = models
        self._paths = paths
        self._read_trending = read_trending
        self._look_s = look_s
        self._seen = [file_stamp(path) for path in paths]
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the change in hand, then return from `run()`."""
        self._stopping.set()

    async def start(self) -> None:
        """Follow the files as they are now.

        Raises:
            EndcapError: a file has a mistake, or a bundle must not be loaded.
        """
        self._slot.replace(await asyncio.to_thread(self._models.running))
        await self._look_at_trending()

    async def run(self) -> None:
        """Look until stopped. What goes wrong is logged and counted; what ran goes on."""
        while not self._stopping.is_set():
            await self._look_at_files()
            await self._look_at_trending()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._look_s)

    async def _look_at_files(self) -> None:
        # What is written after this is seen at the next look.
        stamps = [file_stamp(path) for path in self._paths]
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            running = await asyncio.to_thread(self._models.running)
        except EndcapError as error:
            metrics.EXPERIMENT_CHANGES.labels("refused").inc()
            log.warning("%s\nThe experiments that ran go on.", error)
        except Exception:
            metrics.EXPERIMENT_CHANGES.labels("refused").inc()
            log.exception("%s could not be followed. The experiments go on.", self._paths[0])
        else:
            if running.shop != self._slot.running.shop:
                names = ", ".join(each.name for each in running.shop.experiments) or "none"
                log.warning("Experiments from now on: %s.", names)
            self._slot.replace(running)
            metrics.EXPERIMENT_CHANGES.labels("followed").inc()

    async def _look_at_trending(self) -> None:
        """Only where somebody is held out; while the store is away the list of before holds."""
        is_needed = any(each.holdout for each in self._slot.running.shop.experiments)
        if not is_needed:
            return
        try:
            self._slot.keep_trending(await self._read_trending())
        except ConnectionFailedError as error:
            log.warning("%s What trended before stays in the holdout.", error)
        except Exception:
            log.exception("What trends cannot be read. What trended before stays in the holdout.")


def open_variants(
    settings: Settings, read_trending: ReadTrending
) -> tuple[VariantSlot, ExperimentWatch]:
    """What a rescorer makes lists by, and what follows the files; to be started."""
    slot = VariantSlot(generation=settings.generation)
    models = ExperimentModels(settings, lambda wanted: checked_model(wanted, settings))
    paths = (settings.experiments_path, settings.models_path)
    return slot, ExperimentWatch(slot, models, paths, read_trending)
