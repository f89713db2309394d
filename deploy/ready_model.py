"""From a named bundle to a model that has shown that it can serve."""

import time
from pathlib import Path

import numpy as np

from endcap.deploy.bundle_signatures import load_trusted
from endcap.deploy.models_file import Named
from endcap.deploy.models_file import named as named_now
from endcap.deploy.settings import Settings
from endcap.errors import BundleError, EndcapError
from endcap.policy import Policy
from endcap.serving.calibration import calibrated_batch, warm_up_sessions
from endcap.serving.list_making import make_lists
from endcap.serving.model_slot import Model
from endcap.serving.onnx_session import OnnxScorer

_WARM_UP = 32
_ALIKE = 1.5
"""A batch's time follows the number of items: up to this factor its bound is taken over."""


def checked_model(wanted: Named, settings: Settings) -> Model:
    """Loaded, every hash verified, and warm: it has scored made-up shoppers.

    Raises:
        BundleError: it is damaged, is not the one that was named, or does not score.
    """
    folder = Path(wanted.bundle)
    if wanted.manifest_sha256 and named_now(folder).manifest_sha256 != wanted.manifest_sha256:
        raise BundleError(
            f"{folder} is not the bundle that was named: its manifest was changed since. Where it "
            f"was trained anew, say so with: endcap models use {folder}"
        )
    bundle = load_trusted(folder, settings)
    threads, may_fall_back = settings.inference_threads, not settings.provider_required
    index_dir = settings.cache_dir
    scorer = OnnxScorer(bundle, settings.provider, threads, may_fall_back, index_dir)
    model = Model(bundle, scorer)
    try:
        _warm_up(model, folder)
    except EndcapError:
        raise
    except Exception as error:
        # ONNX Runtime's exceptions share no public base class below Exception.
        raise BundleError(
            f"{folder} is whole and does not score: {error}. Train it again with this version."
        ) from error
    return model


def calibrated(model: Model, settings: Settings, before: Model | None = None) -> Model:
    """With its bound of a batch, measured; or that of the model `before` where they are alike.

    Measured while another model serves, the bound would be too low, and lists would be late.
    """
    if before is not None and _are_alike(model, before):
        bound = before.max_batch
    else:
        # On one thread its own time counts: others who use the machine must not make a batch slow.
        is_alone = settings.inference_threads == 1 and settings.provider == "cpu"
        bound = calibrated_batch(
            lambda sessions: make_lists(sessions, model.bundle, model.scorer, Policy()),
            warm_up_sessions(model.bundle),
            clock=time.thread_time if is_alone else time.perf_counter,
        )
    return model._replace(max_batch=bound)


def _warm_up(model: Model, folder: Path) -> None:
    """A graph plans its memory at the first call; and who scores nothing, or no numbers, cannot
    serve."""
    bundle = model.bundle
    sessions = warm_up_sessions(bundle, _WARM_UP)
    make_lists(sessions, bundle, model.scorer, Policy())
    crowd = bundle.crowd(sessions)
    scored = model.scorer.score(crowd, bundle.gatherer.gather(crowd))
    for row in map(scored.row, range(len(sessions))):
        real = row.scores[row.ids > 0]
        if not real.size or not np.isfinite(real).all():
            raise BundleError(
                f"{folder} is whole, and gives a shopper no items or scores that are no numbers. "
                "Look at its training (`endcap evaluate`)."
            )


def _are_alike(one: Model, other: Model) -> bool:
    sizes = sorted(len(each.bundle.items) for each in (one, other))
    return (
        (one.scorer.path, one.scorer.provider) == (other.scorer.path, other.scorer.provider)
        and one.bundle.manifest.max_length <= other.bundle.manifest.max_length
        and sizes[1] <= sizes[0] * _ALIKE
    )
