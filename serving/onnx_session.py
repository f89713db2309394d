"""ONNX Runtime: which provider truly runs, and one call a batch."""

import importlib.metadata
import logging

import onnxruntime

from endcap.batches import Batch, ScoredItems
from endcap.bundle import Bundle
from endcap.errors import BundleError, RuntimeConflictError
from endcap.serving import metrics

log = logging.getLogger(__name__)


def installed_runtimes() -> list[str]:
    """Which onnxruntime distributions are installed."""
    return [d for d in ("onnxruntime", "onnxruntime-gpu") if _is_installed(d)]


def check_runtimes(installed: list[str]) -> None:
    """Refuse an installation in which the last package installed silently wins.

    Raises:
        RuntimeConflictError: both packages are installed, or none.
    """
    if len(installed) > 1:
        raise RuntimeConflictError(
            "Both onnxruntime and onnxruntime-gpu are installed; they overwrite each other. Keep "
            "one: pip uninstall -y onnxruntime onnxruntime-gpu, then pip install 'endcap[cpu]' "
            "or 'endcap[gpu]'."
        )
    if not installed:
        raise RuntimeConflictError(
            "ONNX Runtime is not installed: pip install 'endcap[cpu]' or 'endcap[gpu]'."
        )


class OnnxScorer:
    """A bundle's graph, ready to score. `provider` is the one in use, not one merely offered."""

    def __init__(self, bundle: Bundle, provider: str = "cpu", threads: int = 0) -> None:
        check_runtimes(installed_runtimes())
        wanted = ["CPUExecutionProvider"]
        if provider == "cuda":
            if hasattr(onnxruntime, "preload_dlls"):
                onnxruntime.preload_dlls()
            wanted = ["CUDAExecutionProvider", *wanted]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(bundle.model, options, providers=wanted)
        except Exception as error:
            # ONNX Runtime's exceptions share no public base class below Exception.
            raise BundleError(
                f"ONNX Runtime cannot load the model of bundle {bundle.manifest.name}: {error}. "
                "Train it again, or install the version in constraints.txt."
            ) from error
        self.provider: str = self._session.get_providers()[0]
        self.fell_back = self.provider != wanted[0]
        metrics.CPU_FALLBACK.set(self.fell_back)
        if self.fell_back:
            log.warning(
                "%s was asked for; %s is in use. Run `endcap doctor`.", wanted[0], self.provider
            )
        metrics.MODEL.info({"name": bundle.manifest.name, "provider": self.provider})

    def score(self, batch: Batch) -> ScoredItems:
        """The candidates' scores, and the items that the graph adds with theirs."""
        with metrics.INFERENCE_SECONDS.time():
            ids, scores = self._session.run(["ids", "scores"], batch._asdict())
        return ScoredItems(ids, scores)


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
