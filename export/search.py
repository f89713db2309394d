"""Search the Transformer's options on validation: TPE, pruning by the median, a journal.

What is maximised is the mean of HR@20 and MRR@20 of the Transformer alone, as training measures
it after each epoch. The test is not among the arguments.
"""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from endcap.counted import counted
from endcap.errors import EndcapError, SettingsError
from endcap.export.data.interactions import Cases, Interactions
from endcap.export.encoder import SessionEncoder
from endcap.export.fit_encoder import fit_encoder, stopping_questions
from endcap.export.fit_state import Epoch
from endcap.export.learn_options import LearnOptions
from endcap.export.options_file import OPTIONS_FILE, store_options
from endcap.export.progress import Progress
from endcap.export.ranks import ranks_here
from endcap.export.search_space import Choice, choice_of, options_with, space_around

TRIALS_FILE = "trials.json"
_JOURNAL = "trials.journal"
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
_UNPRUNED = 4
"""Trials that run to their end whatever they show: a median of fewer says little."""


class Task(NamedTuple):
    """What a trial may see. `learned_from`: the fingerprint of `train`."""

    train: Interactions
    validation: Cases
    n_items: int
    learned_from: str


class TrialRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One trial. `epochs`: loss, HR@20, MRR@20 and seconds of each. `state`: complete, pruned, or
    fail where it was killed and has been repeated."""

    number: int
    state: str
    score: float | None
    seconds: float | None
    choice: Choice
    epochs: list[Epoch]


class Searched(NamedTuple):
    """The best options, what they reached, and all trials in their order."""

    options: LearnOptions
    score: float
    trials: tuple[TrialRecord, ...]


def search(
    task: Task, default: LearnOptions, trials: int, folder: Path, progress: Progress
) -> Searched:
    """Try until `folder` holds `trials` that ended; write the best as options.json after each.

    1. Open the journal; it must be of the same events and defaults.
    2. What a killed process left running has failed, and is queued again.
    3. The first choice is the default; later ones come from TPE, whose randomness is drawn anew
       from (seed, how many ended), so that an interrupted search chooses as one that was not.
    4. After each epoch the trial is recorded, and ends if it is below the median of the others.

    Raises:
        SettingsError: the folder holds another search, or another process is at it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        study = _open(folder, task, default)
        _repeat_the_killed(study)
        if not study.trials:
            study.enqueue_trial(choice_of(default))
        done = _ended(study)
        if done:
            progress.say(f"going on after {counted(done, 'trial')} of {folder}")
        progress.advance("Trials", min(done, trials), trials)
        while done < trials:
            _one_trial(study, task, default, progress)
            _record(study, default, folder)
            done = _ended(study)
            progress.advance("Trials", done, trials)
        return _record(study, default, folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two processes would each take the other's running trial for a killed one."""
    with (folder / "lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError(
                f"Another process searches in {folder}. Wait for it, or name another --out."
            ) from error
        yield


def _open(folder: Path, task: Task, default: LearnOptions) -> optuna.Study:
    optuna.logging.set_verbosity(logging.WARNING)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(folder / _JOURNAL))),
        study_name="endcap tune",
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED, n_warmup_steps=1),
        load_if_exists=True,
    )
    about = {
        "learned_from": task.learned_from,
        "default": msgspec.json.encode(default).decode(),
    }
    held = study.user_attrs
    for name, value in about.items():
        if name not in held:
            study.set_user_attr(name, value)
        elif held[name] != value:
            raise SettingsError(
                f"{folder} holds a search on other events or from other defaults ({name} differs). "
                "Name the same data, dates and options to go on with it, or another --out."
            )
    return study


def _repeat_the_killed(study: optuna.Study) -> None:
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        # What was queued for it holds all of the choice, even where it died while choosing.
        study.enqueue_trial(trial.system_attrs.get("fixed_params", trial.params))
        study.tell(trial.number, state=TrialState.FAIL)


def _one_trial(study: optuna.Study, task: Task, default: LearnOptions, progress: Progress) -> None:
    study.sampler = optuna.samplers.TPESampler(
        seed=default.fit.seed + _ended(study), n_startup_trials=_UNPRUNED
    )
    trial = study.ask(space_around(default))
    options = options_with(default, trial.params)
    begun = time.monotonic()

    def after_epoch(curve: list[Epoch]) -> None:
        trial.set_user_attr("epochs", [list(epoch) for epoch in curve])
        trial.report(_score(curve), len(curve) - 1)
        if trial.should_prune():
            raise _PrunedError

    torch.manual_seed(options.fit.seed)
    encoder = SessionEncoder(task.n_items, options.encoder).to(ranks_here("auto").device)
    stopping = stopping_questions(task.validation, options.fit.seed)
    try:
        curve = fit_encoder(
            encoder, task.train, stopping, options.fit, progress, after_epoch=after_epoch
        )
    except _PrunedError:
        trial.set_user_attr("seconds", round(time.monotonic() - begun, 3))
        study.tell(trial, state=TrialState.PRUNED)
        progress.say(f"trial {trial.number} pruned: {_told(trial.params)}")
        return
    trial.set_user_attr("seconds", round(time.monotonic() - begun, 3))
    study.tell(trial, _score(curve))
    progress.say(f"trial {trial.number}: {_score(curve):.4f} with {_told(trial.params)}")


class _PrunedError(EndcapError):
    pass


def _score(curve: list[Epoch]) -> float:
    return max((epoch.valid_hr + epoch.valid_mrr) / 2 for epoch in curve)


def _ended(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=_ENDED))


def _told(choice: Choice) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in choice.items())


def _record(study: optuna.Study, default: LearnOptions, folder: Path) -> Searched:
    """The best as options.json, all trials as trials.json, each whole or not at all."""
    records = tuple(_record_of(trial) for trial in study.get_trials(deepcopy=False))
    best: Any = study.best_trial
    options = options_with(default, best.params)
    store_options(folder / OPTIONS_FILE, options)
    unfinished = folder / f"{TRIALS_FILE}.part"
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=2) + b"\n")
    os.replace(unfinished, folder / TRIALS_FILE)
    return Searched(options, float(best.value), records)


def _record_of(trial: FrozenTrial) -> TrialRecord:
    return TrialRecord(
        number=trial.number,
        state=trial.state.name.lower(),
        score=trial.value,
        seconds=trial.user_attrs.get("seconds"),
        choice=trial.params,
        epochs=[Epoch(*row) for row in trial.user_attrs.get("epochs", [])],
    )
