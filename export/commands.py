"""What `endcap train` and `endcap evaluate` call, in one import: a missing extra is named once."""

from pathlib import Path
from typing import NamedTuple

import msgspec

from endcap.bundle import Bundle, load_bundle
from endcap.errors import SettingsError
from endcap.export import evaluate as evaluation
from endcap.export.data.interactions import DataSet, Interactions, Split
from endcap.export.evaluate import Where, ranker_of, train, train_along
from endcap.export.graph_ranker import Timed, timed_slates
from endcap.export.learn import Learned
from endcap.export.learn_options import LearnOptions
from endcap.export.learn_options import options_for as defaults_for
from endcap.export.line_up import Rivals
from endcap.export.opponents.line_up import LINE_UP
from endcap.export.opponents.tuning import Budget, opponent_named
from endcap.export.options_file import load_options, with_seed
from endcap.export.progress import Progress
from endcap.export.ranks import ranks_here
from endcap.export.report.feedback_rows import feedback_from
from endcap.export.report.found import Found, Published
from endcap.export.report.page import write_report
from endcap.export.report.published import published_of

__all__ = [
    "Evaluation",
    "Where",
    "Wishes",
    "as_json",
    "evaluate",
    "load_bundle",
    "load_options",
    "opponent_names",
    "options_for",
    "published_of",
    "ranks_here",
    "train",
    "train_along",
    "write_report",
]


class Evaluation(NamedTuple):
    """What to evaluate and against whom; `trials`: choices of options for each opponent, whose
    answers are kept in `out`. `answers`: the bundle's, where it was trained just now."""

    data: DataSet
    split: Split
    bundle: Bundle
    learned: Learned | None
    answers: Timed | None
    opponents: tuple[str, ...]
    trials: int
    seed: int
    out: Path
    command: str
    published: tuple[Published, ...]


class Wishes(NamedTuple):
    """What a person asks for; None leaves it to the size of the data. `options` stand for the
    defaults, but for their seed."""

    seed: int
    epochs: int | None = None
    neighbours: int | None = None
    sessions: int | None = None
    options: LearnOptions | None = None


def options_for(train: Interactions, n_items: int, wishes: Wishes) -> LearnOptions:
    """The defaults for data of this size, or the options given, but for what was asked for."""
    options = defaults_for(train, n_items, wishes.seed)
    if wishes.options is not None:
        options = with_seed(wishes.options, wishes.seed)
    generators = options.generators
    if wishes.neighbours is not None:
        generators = generators._replace(keep=wishes.neighbours)
    if wishes.sessions is not None:
        generators = generators._replace(newest_sessions=wishes.sessions)
    fit = options.fit
    if wishes.epochs is not None:
        fit = msgspec.structs.replace(fit, epochs=wishes.epochs)
    return msgspec.structs.replace(options, fit=fit, generators=generators)


def opponent_names(asked: str) -> tuple[str, ...]:
    """From `all`, `none` or names with commas.

    Raises:
        SettingsError: there is no opponent of a name.
    """
    if asked == "none":
        return ()
    if asked == "all":
        return tuple(opponent.name for opponent in LINE_UP)
    names = tuple(name.strip() for name in asked.split(",") if name.strip())
    if not names:
        raise SettingsError("--opponents wants all, none, or names with commas.")
    return tuple(opponent_named(name).name for name in names)


def evaluate(asked: Evaluation, impressions: Path | None, progress: Progress) -> Found:
    """The table, and what impressions say where there are some."""
    ranker = ranker_of(asked.bundle, asked.data, progress)
    budget = Budget(trials=asked.trials, costly_trials=max(1, asked.trials // 10))
    found = evaluation.evaluate(
        asked.data,
        asked.split,
        asked.answers or timed_slates(ranker, asked.split.test),
        asked.learned,
        Rivals(asked.opponents, budget, asked.seed, asked.out / "opponents"),
        asked.command,
        asked.published,
        progress,
    )
    if impressions is None:
        return found
    feedback = feedback_from(impressions, asked.data, "endcap", ranker)
    return msgspec.structs.replace(found, feedback=feedback)


def as_json(found: Found) -> str:
    """The report's JSON on one line."""
    return msgspec.json.encode(found).decode()
