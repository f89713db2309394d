"""Tune an opponent on validation questions, over its own grid."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from endcap.counted import counted
from endcap.errors import SettingsError
from endcap.export.data.interactions import Cases, Interactions, first_events
from endcap.export.data.slates import Ranker
from endcap.export.measures.accuracy import accuracy_per_case, means
from endcap.export.opponents.line_up import LINE_UP
from endcap.export.opponents.opponent import ROUNDS, Choice, Choices, Grid, Opponent, Task
from endcap.export.progress import Progress
from endcap.near_names import did_you_mean

_MANY = 12
"""Trials; with fewer, none is left to luck."""
_MISSES = 300
"""Choices drawn that were tried before; then the neighbourhood of the best is known."""


class Budget(NamedTuple):
    """How much is tried: `trials` of the opponents that count, `costly_trials` of those trained
    with torch, each on at most `cases` questions drawn from the validation.

    A costly trial learns from at most `costly_events` events, of sequences drawn from all, for at
    most `trial_rounds` epochs; the best choice then learns from all there is, for at most `rounds`.
    Either ends when `patience` epochs in a row were not better than its best.
    """

    trials: int = 40
    costly_trials: int = 5
    costly_events: int = 100_000
    trial_rounds: int = 15
    rounds: int = 30
    patience: int = 4
    cases: int = 4000


class Trial(NamedTuple):
    """One choice of options and what it reached, shares between 0 and 1, at its best epoch."""

    choices: dict[str, Choice]
    hr_at_20: float
    mrr_at_20: float
    seconds: float

    @property
    def score(self) -> float:
        """What is maximised: the mean of both."""
        return (self.hr_at_20 + self.mrr_at_20) / 2


class Tuned(NamedTuple):
    """The chosen trial of an opponent, and all in the order in which they ran.

    `ranker` is what the chosen trial learned from `train`: the final one where a protocol knows
    nothing more (leave-one-out); else fit anew on what is known with `best.choices`.
    """

    name: str
    best: Trial
    trials: tuple[Trial, ...]
    ranker: Ranker


def tune(
    name: str,
    train: Interactions,
    validation: Cases,
    n_items: int,
    budget: Budget,
    seed: int,
    progress: Progress,
) -> Tuned:
    """Search the grid of the opponent `name` for the highest mean of HR@20 and MRR@20.

    The first trial is the default. Where there are a dozen trials or more, the next third is drawn
    from the whole grid. Each of the others changes one option of the best so far, option by option
    in the order of the grid. HR@20 counts a question whose slate holds any target,
    MRR@20 the first of them. The same seed gives the same choices.

    Raises:
        SettingsError: there is no opponent of that name.
    """
    opponent = opponent_named(name)
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(validation.size)[: budget.cases]
    asked = validation.take(np.sort(drawn))
    sample = _some_sequences(train, budget.costly_events, rng) if opponent.costly else train
    wanted = budget.costly_trials if opponent.costly else budget.trials
    task = Task(sample, n_items, seed)
    # The best one's ranker alone is kept: an index of 43,097 items and 300 neighbours is 100 MB.
    best: list[_Done] = []
    trials: list[Trial] = []
    for choices in _choices(_grid(opponent, train), wanted, trials, rng):
        done = _try(opponent, task, choices, asked, budget.trial_rounds, budget.patience)
        trials.append(done.trial)
        if not best or done.trial.score > best[0].trial.score:
            best = [done]
        progress.advance(f"Tuning {name}", len(trials), wanted)
    progress.advance(f"Tuning {name}", wanted, wanted)
    chosen = best[0]
    if opponent.costly:
        whole = Task(train, n_items, seed)
        chosen = _try(opponent, whole, chosen.trial.choices, asked, budget.rounds, budget.patience)
        trials.append(chosen.trial)
    progress.say(
        f"{name}: HR@20 {chosen.trial.hr_at_20:.4f}, MRR@20 {chosen.trial.mrr_at_20:.4f} on "
        f"validation, after {counted(len(trials), 'trial')}"
    )
    return Tuned(name, chosen.trial, tuple(trials), chosen.ranker)


def fit(name: str, known: Interactions, n_items: int, choices: Choices, seed: int) -> Ranker:
    """The final fit of the opponent `name` with chosen options.

    Raises:
        SettingsError: there is no opponent of that name.
    """
    return opponent_named(name).fit(Task(known, n_items, seed), choices)


def opponent_named(name: str) -> Opponent:
    """The opponent of that name.

    Raises:
        SettingsError: there is none.
    """
    for opponent in LINE_UP:
        if opponent.name == name:
            return opponent
    names = [opponent.name for opponent in LINE_UP]
    near, known = did_you_mean(name, names), ", ".join(names)
    raise SettingsError(f"There is no opponent {name!r}.{near} Known: {known}.")


def _grid(opponent: Opponent, train: Interactions) -> Grid:
    """The opponent's own; where a sequence is a session, that choice is none."""
    filled = int((np.diff(train.offsets) > 0).sum())
    if np.unique(train.sessions).size > filled:
        return opponent.grid
    return {
        option: values[:1] if option == "unit" else values
        for option, values in opponent.grid.items()
    }


def _choices(
    grid: Grid, wanted: int, trials: list[Trial], rng: np.random.Generator
) -> Iterator[dict[str, Choice]]:
    """At most `wanted` different choices; reads `trials`, to which the caller adds."""
    tried: list[dict[str, Choice]] = []
    size = int(np.prod([len(values) for values in grid.values()]))
    drawn = (wanted + 2) // 3 if wanted >= _MANY else 1
    movable = [option for option, values in grid.items() if len(values) > 1]
    turn, misses = 0, 0
    while len(tried) < min(wanted, size) and misses < _MISSES:
        if not tried:
            choices = {option: values[0] for option, values in grid.items()}
        elif len(tried) < drawn:
            choices = {option: _drawn(values, rng) for option, values in grid.items()}
        else:
            best = max(trials, key=lambda trial: trial.score).choices
            option = movable[turn % len(movable)]
            others = tuple(value for value in grid[option] if value != best[option])
            choices = {name: best[name] for name in grid} | {option: _drawn(others, rng)}
            turn += 1
        if choices in tried:
            misses += 1
            continue
        tried.append(choices)
        yield choices


def _drawn(values: tuple[Choice, ...], rng: np.random.Generator) -> Choice:
    return values[int(rng.integers(len(values)))]


class _Done(NamedTuple):
    trial: Trial
    ranker: Ranker


def _try(
    opponent: Opponent, task: Task, choices: Choices, asked: Cases, most: int, patience: int
) -> _Done:
    started = time.perf_counter()
    settings = {option: value for option, value in choices.items() if option != ROUNDS}
    rounds = opponent.rounds(task, settings)

    def measured(number: int, ranker: Ranker) -> _Done:
        found = means(accuracy_per_case(ranker.slates(asked), asked))
        of_round = {**settings, ROUNDS: number} if opponent.costly else settings
        seconds = time.perf_counter() - started
        return _Done(Trial(of_round, found["hr_at_20"], found["mrr_at_20"], seconds), ranker)

    best, waited = measured(1, next(rounds)), 0
    for number, ranker in enumerate(islice(rounds, most - 1), start=2):
        now = measured(number, ranker)
        best, waited = (now, 0) if now.trial.score > best.trial.score else (best, waited + 1)
        if waited == patience:
            break
    return _Done(best.trial._replace(seconds=time.perf_counter() - started), best.ranker)


def _some_sequences(train: Interactions, events: int, rng: np.random.Generator) -> Interactions:
    """All, or as many whole sequences, drawn by chance, as hold about so many events."""
    if train.items.size <= events:
        return train
    kept = rng.random(train.n_sequences) < events / train.items.size
    return first_events(train, np.where(kept, train.offsets[1:], train.offsets[:-1]))
