"""The model that scores now, and the one that is tried in its shadow."""

from typing import NamedTuple

from endcap.bundle import Bundle
from endcap.serving import metrics
from endcap.serving.onnx_session import OnnxScorer

MAX_BATCH = 64
"""Where nothing was calibrated."""


class Model(NamedTuple):
    """A bundle, ready to score; at most `max_batch` shoppers at once."""

    bundle: Bundle
    scorer: OnnxScorer
    max_batch: int = MAX_BATCH

    @property
    def facts(self) -> dict[str, str]:
        """What it is, as metrics name it. Two bundles of one name differ in `created_at`."""
        made = self.bundle.manifest
        return {
            "name": made.name,
            "created_at": made.created_at,
            "provider": self.scorer.provider,
            "path": self.scorer.path,
        }


class Shadow(NamedTuple):
    """A model whose lists nobody sees, for this share of the shoppers, 0 to 1."""

    model: Model
    share: float


class ModelSlot:
    """Whoever scores takes `current` once for each batch, so that a batch is of one model.

    Replacing it is one assignment, from any thread: the next batch takes the new model, the one in
    hand ends with the model that it began with.
    """

    def __init__(self, current: Model) -> None:
        self._current = current
        self._shadow: Shadow | None = None
        self.replace(current)
        self.cast(None)

    @property
    def current(self) -> Model:
        """What the next batch is scored with."""
        return self._current

    @property
    def shadow(self) -> Shadow | None:
        """What is tried beside it."""
        return self._shadow

    def replace(self, model: Model) -> None:
        """From the next batch on this one scores."""
        self._current = model
        metrics.MODEL.info(model.facts)
        metrics.CPU_FALLBACK.set(model.scorer.fell_back)
        metrics.NATIVE_SCORING.set(model.scorer.natively)
        metrics.CUDA_GRAPHS.set(model.scorer.captured)
        metrics.CUDA_BUCKETS.set(model.scorer.buckets)

    def cast(self, shadow: Shadow | None) -> None:
        """Try this one beside the current model; None: none."""
        self._shadow = shadow
        metrics.SHADOW_MODEL.info({} if shadow is None else shadow.model.facts)
        metrics.SHADOW_SHARE.set(0.0 if shadow is None else shadow.share)
