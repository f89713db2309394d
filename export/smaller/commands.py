"""What `endcap quantise`, `distil` and `tune` call, in one import."""

from pathlib import Path

import msgspec

from endcap.export.commands import Wishes, options_for
from endcap.export.data.interactions import DataSet, Split
from endcap.export.fingerprint import fingerprint
from endcap.export.learn_options import LearnOptions
from endcap.export.options_file import load_options
from endcap.export.progress import Progress
from endcap.export.search import Searched, Task, search
from endcap.export.smaller.distil import Distilling, distil
from endcap.export.smaller.quantise import Quantising, quantise

__all__ = [
    "Distilling",
    "Quantising",
    "Wishes",
    "as_builtins",
    "distil",
    "load_options",
    "options_for",
    "quantise",
    "tune",
]


def tune(
    data: DataSet,
    split: Split,
    default: LearnOptions,
    trials: int,
    folder: Path,
    progress: Progress,
) -> Searched:
    """Search with what may be seen alone: the test stays behind."""
    learned_from = fingerprint(split.train, data.items)
    task = Task(split.train, split.validation, len(data.items), learned_from)
    return search(task, default, trials, folder, progress)


def as_builtins(found: msgspec.Struct) -> dict[str, object]:
    """For JSON."""
    built: dict[str, object] = msgspec.to_builtins(found)
    return built
