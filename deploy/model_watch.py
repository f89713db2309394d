"""Follow `models.json`: load beside what runs, check, warm up, swap."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from endcap.deploy.models_file import Models, Named, named, read_models
from endcap.deploy.ready_model import calibrated, checked_model
from endcap.deploy.settings import Settings
from endcap.errors import EndcapError
from endcap.serving import metrics
from endcap.serving.model_slot import Model, ModelSlot, Shadow

log = logging.getLogger(__name__)

LOOK_S = 1.0
Follower = Callable[[Models], None]
"""Does what the file says; called in a thread."""


class ModelWatch:
    """Looks at the file every second. `run()` returns after `stop()`."""

    def __init__(self, path: Path, followers: Sequence[Follower], look_s: float = LOOK_S) -> None:
        self._path = path
        self._followers = followers
        self._look_s = look_s
        self._seen: tuple[int, int, int] | None = None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the swap in hand, then return from `run()`."""
        self._stopping.set()

    async def run(self) -> None:
        """Look until stopped. What goes wrong is logged and counted; what ran goes on."""
        while not self._stopping.is_set():
            await self._look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._look_s)

    async def _look(self) -> None:
        # What is written after this is seen at the next look.
        stamp = file_stamp(self._path)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            models = read_models(self._path)
            for follow in self._followers:
                await asyncio.to_thread(follow, models)
        except EndcapError as error:
            metrics.MODEL_SWAPS.labels("refused").inc()
            log.warning("%s The models that ran go on.", error)
        except Exception:
            metrics.MODEL_SWAPS.labels("refused").inc()
            log.exception("%s could not be followed. The models that ran go on.", self._path)


class CurrentModel:
    """Puts what the file names into the slot. `open_model` is told what is to be replaced."""

    def __init__(
        self,
        slot: ModelSlot,
        running: Named,
        without_file: Callable[[], Named],
        open_model: Callable[[Named, Model], Model],
    ) -> None:
        self._slot = slot
        self._running = running
        self._without_file = without_file
        self._open = open_model

    def __call__(self, models: Models) -> None:
        """Load beside the running one, then swap.

        Raises:
            EndcapError: the bundle must not be loaded; the slot is as it was.
        """
        wanted = models.current or self._without_file()
        if wanted == self._running:
            return
        before = self._slot.current
        model = self._open(wanted, before)
        self._slot.replace(model)
        self._running = wanted
        metrics.MODEL_SWAPS.labels("swapped").inc()
        log.warning(
            "%s (%s) scores from now on, in the place of %s (%s).",
            model.bundle.manifest.name,
            wanted.bundle,
            before.bundle.manifest.name,
            before.bundle.manifest.created_at,
        )


class ShadowModel:
    """Casts what the file names as the shadow of the slot, or takes it off."""

    def __init__(self, slot: ModelSlot, open_model: Callable[[Named], Model]) -> None:
        self._slot = slot
        self._running: Named | None = None
        self._open = open_model

    def __call__(self, models: Models) -> None:
        """Load it where it is another one; then set it and its share.

        Raises:
            EndcapError: the bundle must not be loaded; no shadow is cast.
        """
        wanted, before = models.shadow, self._slot.shadow
        if wanted is None or wanted != self._running:
            self._slot.cast(None)
            self._running = None
        if wanted is None:
            return
        is_loaded = before is not None and wanted == self._running
        model = before.model if before is not None and is_loaded else self._open(wanted)
        self._slot.cast(Shadow(model, models.shadow_share))
        self._running = wanted


def open_slot(settings: Settings) -> tuple[ModelSlot, ModelWatch]:
    """What a rescorer scores with: calibrated, its shadow beside it; and what follows the file.

    Raises:
        EndcapError: the file or the bundle that it names cannot be used.
    """

    def ready(wanted: Named, before: Model | None = None) -> Model:
        model = calibrated(checked_model(wanted, settings), settings, before)
        metrics.BATCH_BOUND.set(model.max_batch)
        return model

    running = _named_at_start(settings)
    slot = ModelSlot(ready(running))
    current = CurrentModel(slot, running, partial(named, settings.bundle), ready)
    shadow = ShadowModel(slot, lambda wanted: checked_model(wanted, settings))
    return slot, ModelWatch(settings.models_path, [current, shadow])


def open_slot_for_requests(settings: Settings) -> tuple[ModelSlot, ModelWatch]:
    """The same for requests, whose batches have a bound of their own: nothing is calibrated.

    Raises:
        EndcapError: the file or the bundle that it names cannot be used.
    """

    def ready(wanted: Named, _before: Model | None = None) -> Model:
        return checked_model(wanted, settings)

    running = _named_at_start(settings)
    slot = ModelSlot(ready(running))
    current = CurrentModel(slot, running, partial(named, settings.bundle), ready)
    return slot, ModelWatch(settings.models_path, [current, ShadowModel(slot, ready)])


def _named_at_start(settings: Settings) -> Named:
    models = read_models(settings.models_path)
    if models.current is None:
        return named(settings.bundle)
    if "bundle" in settings.model_fields_set:
        log.warning(
            "%s names %s: it scores, whatever the setting bundle says (%s). `endcap models use` "
            "chooses another; without the file the setting holds.",
            settings.models_path,
            models.current.bundle,
            settings.bundle,
        )
    return models.current


def file_stamp(path: Path) -> tuple[int, int, int]:
    """Changes whenever the file is replaced or written to; zeros where there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_mtime_ns, found.st_size
