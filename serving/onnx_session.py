"""ONNX Runtime: which provider truly runs, and one call a batch."""

import importlib.metadata
import logging
from collections.abc import Callable
from pathlib import Path

from endcap.batches import make_batch
from endcap.bundle import Bundle
from endcap.candidates import Crowd, Gathered
from endcap.candidates.gather import MAX_CANDIDATES
from endcap.errors import ProviderUnavailableError, RuntimeConflictError
from endcap.scoring import Scored, without_padding
from endcap.serving.bound_graph import CUDA, BoundGraph
from endcap.serving.buckets import buckets_for
from endcap.serving.stages import open_stages
from endcap.serving.whole_graph import PROVIDERS, WholeGraph

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
            "one: pip uninstall -y onnxruntime onnxruntime-gpu, then pip install '.[cpu]' "
            "or '.[gpu]' in a clone."
        )
    if not installed:
        raise RuntimeConflictError(
            "ONNX Runtime is not installed: pip install '.[cpu]' or '.[gpu]' in a clone."
        )


class OnnxScorer:
    """A bundle's model, ready to score. `provider` is the one in use, not one merely offered.

    On a CPU its stages run, where the bundle has them; on a GPU the whole graph in fixed shapes,
    of `buckets` of which `captured` are CUDA graphs; else the whole graph as it is (`path`:
    "staged", "bound", "whole"). `index_dir`: of catalogues that the stages do not go through whole.

    Raises:
        ProviderUnavailableError: unless it `may_fall_back`, another provider than the one that was
            asked for is in use.
    """

    def __init__(
        self,
        bundle: Bundle,
        provider: str = "cpu",
        threads: int = 0,
        may_fall_back: bool = True,
        index_dir: Path | None = None,
    ) -> None:
        check_runtimes(installed_runtimes())
        name, length = bundle.manifest.name, bundle.manifest.max_length
        self.path, self.provider, self.fell_back = "staged", PROVIDERS["cpu"][0], False
        self.captured = self.buckets = 0
        natively = bundle.gatherer.natively
        if provider == "cpu" and bundle.stages is not None:
            staged = open_stages(bundle, bundle.stages, threads, index_dir)
            natively = natively and staged.natively
            if staged.why_in_graphs:
                log.warning(
                    "ONNX Runtime runs the stages of bundle %s, at half the rate of the compiled "
                    "ones: %s `endcap train` writes what these know.",
                    name,
                    staged.why_in_graphs,
                )
            self._score: Callable[[Crowd, Gathered], Scored] = staged.score
        else:
            whole = WholeGraph(bundle.model, name, provider, threads)
            self.provider, self.fell_back = whole.provider, whole.fell_back
            if self.fell_back and not may_fall_back:
                raise ProviderUnavailableError(
                    f"{PROVIDERS[provider][0]} was asked for, and ONNX Runtime uses "
                    f"{self.provider}. See what it says above, and docs/running.md for what a GPU "
                    "needs."
                )
            self.path, run = "whole", whole.run
            if whole.provider == CUDA:
                buckets = buckets_for(len(bundle.items), length, MAX_CANDIDATES)
                bound = BoundGraph(whole, buckets)
                self.path, run = "bound", bound.run
                self.captured, self.buckets = bound.captured, len(buckets)
            self._score = lambda crowd, gathered: without_padding(
                run(make_batch(crowd, gathered, length))
            )
        if self.fell_back:
            log.warning(
                "%s was asked for; %s is in use. Run `endcap doctor`.",
                PROVIDERS[provider][0],
                self.provider,
            )
        self.natively = natively
        if not natively:
            log.warning(
                "The compiled path of candidates and scores is not built: lists are the same, and "
                "take several times as long. Install a C compiler, then endcap anew."
            )
        if provider == "cpu" and self.path == "whole":
            log.warning(
                "Bundle %s has no stages: its whole graph runs, padded, at a third of the rate. "
                "`endcap train` makes them.",
                name,
            )

    def score(self, crowd: Crowd, gathered: Gathered) -> Scored:
        """The candidates' scores, and the items that the model adds with theirs."""
        return self._score(crowd, gathered)


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
