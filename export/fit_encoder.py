"""Train the Transformer: every position of every window, one pass, with checkpoints."""

import copy
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from endcap.counted import counted
from endcap.export.checkpoint import Checkpoint, read, restore, store
from endcap.export.data.interactions import Cases, Interactions
from endcap.export.encoder import SessionEncoder
from endcap.export.encoder_optimiser import adamw, set_rate
from endcap.export.fit_state import Epoch, FitState, Part
from endcap.export.imitation import Teacher
from endcap.export.progress import Progress
from endcap.export.ranks import ALONE, Ranks
from endcap.export.retrieval import hits_at
from endcap.export.sampled_softmax import Negatives
from endcap.export.window_loss import window_loss
from endcap.export.windows import EpochOfWindows, Window, n_batches

_STOPPING_QUESTIONS = 10_000
"""Of validation, drawn by chance."""


class FitOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to train. `positions`: events a batch.

    Training ends when `patience` epochs have not improved the validation figure; what was best is
    kept.
    """

    epochs: int = 8
    learning_rate: float = 2e-3
    item_rate: float = 2.0
    weight_decay: float = 0.01
    positions: int = 4096
    negatives: int = 4096
    patience: int = 2
    seed: int = 7
    half_precision: bool = True


def fit_encoder(
    encoder: SessionEncoder,
    train: Interactions,
    validation: Cases | None,
    options: FitOptions,
    progress: Progress,
    checkpoint: Checkpoint | None = None,
    after_epoch: Callable[[list[Epoch]], None] | None = None,
    teacher: Teacher | None = None,
    ranks: Ranks = ALONE,
    task: str = "Transformer",
) -> list[Epoch]:
    """Train in place; with `validation` the best epoch's weights are what is left.

    1. Go on from `checkpoint`, where there is one.
    2. For each epoch: windows of all events, a step a batch; the rate falls linearly. Now and then
       the checkpoint is written.
    3. After each epoch: measure on `validation`, write the checkpoint, stop when nothing improves.

    `after_epoch` is told the curve so far and may end it all by raising. With a `teacher` the loss
    is mixed with what that one expects. `ranks` share the rows of each batch, so that they learn
    what one process would but for dropout.

    Randomness is drawn anew from (seed, epoch, step): what was interrupted ends as if it had not
    been.

    Raises:
        SettingsError: the checkpoint is of another training.
        EndcapError: another of the `ranks` has ended.
    """
    length = encoder.options.length + 1
    steps = n_batches(train, length, options.positions)
    negatives = Negatives(train.items, encoder.n_items, options.negatives, encoder.device)
    encoder.keep_only(negatives.met)
    optimiser = adamw(encoder, options.learning_rate, options.item_rate, options.weight_decay)
    run = _Run(encoder, train, negatives, optimiser, options, steps, teacher, ranks)
    follow = _Follow(progress, checkpoint, task)
    state = _begin(run, follow)
    while not _is_over(state, options):
        begun, epoch = time.monotonic(), len(state.curve)
        part = _one_epoch(run, state, follow)
        figure = (np.nan, np.nan)
        if validation is not None:
            figure = ranks.from_leader(hits_at(encoder, validation) if ranks.leads else figure)
        seconds = state.part.seconds + time.monotonic() - begun
        curve = [*state.curve, Epoch(part.loss / max(1, part.answers), *figure, seconds)]
        state = FitState(curve, state.best, state.weights)
        if validation is None or _figure(curve[-1]) >= _figure(curve[state.best]):
            state = FitState(curve, epoch, copy.deepcopy(encoder.state_dict()))
        progress.say(_sentence(state, options))
        follow.store(run, state)
        if after_epoch is not None:
            after_epoch(curve)
    progress.advance(task, options.epochs * steps, options.epochs * steps)
    if state.weights is not None:
        encoder.load_state_dict(state.weights)
    encoder.eval()
    return state.curve


def stopping_questions(validation: Cases, seed: int) -> Cases:
    """Those of validation that say when the Transformer has trained enough."""
    asked = np.random.default_rng(seed).permutation(validation.size)[:_STOPPING_QUESTIONS]
    return validation.take(np.sort(asked))


class _Run(NamedTuple):
    encoder: SessionEncoder
    train: Interactions
    negatives: Negatives
    optimiser: torch.optim.Optimizer
    options: FitOptions
    steps: int
    teacher: Teacher | None
    ranks: Ranks


class _Follow(NamedTuple):
    """Who is told how far it is: people, and whoever goes on after a kill."""

    progress: Progress
    checkpoint: Checkpoint | None
    task: str

    def store(self, run: _Run, state: FitState) -> None:
        if self.checkpoint is not None and run.ranks.leads:
            store(self.checkpoint, run.encoder, run.optimiser, state)

    def advance(self, run: _Run, epoch: int, step: int) -> None:
        """`steps` is what an epoch has about: its cuts are random."""
        done = epoch * run.steps + min(step, run.steps)
        self.progress.advance(self.task, done, run.options.epochs * run.steps)


def _begin(run: _Run, follow: _Follow) -> FitState:
    state = FitState([])
    if follow.checkpoint is not None:
        held = run.ranks.from_leader(read(follow.checkpoint) if run.ranks.leads else None)
        if held is not None:
            state = restore(held, run.encoder, run.optimiser)
            follow.progress.say(
                f"going on after epoch {len(state.curve)} and {counted(state.part.step, 'step')}, "
                f"from {follow.checkpoint.path}"
            )
    follow.advance(run, min(len(state.curve), run.options.epochs - 1), state.part.step)
    return state


def _is_over(state: FitState, options: FitOptions) -> bool:
    done = len(state.curve)
    return done >= options.epochs or (done > 0 and done - 1 - state.best >= options.patience)


def _figure(epoch: Epoch) -> float:
    return (epoch.valid_hr + epoch.valid_mrr) / 2


def _sentence(state: FitState, options: FitOptions) -> str:
    done, last = len(state.curve), state.curve[-1]
    told = [f"loss {last.loss:.4f}"]
    if not np.isnan(last.valid_hr):
        told += [f"validation HR@20 {last.valid_hr:.4f}", f"MRR@20 {last.valid_mrr:.4f}"]
    told.append(f"{last.seconds:.0f} s")
    if not _is_over(state, options):
        left = sum(epoch.seconds for epoch in state.curve) / done * (options.epochs - done)
        told.append(f"at most {left:.0f} s left")
    return f"epoch {done}/{options.epochs}: {', '.join(told)}"


def _one_epoch(run: _Run, state: FitState, follow: _Follow) -> Part:
    """From the step that `state` has come to; steps as windows.py numbers them."""
    options, epoch, part = run.options, len(state.curve), state.part
    parameters = [p for p in run.encoder.parameters() if p.requires_grad]
    windows = EpochOfWindows(
        run.train,
        run.encoder.options.length + 1,
        options.positions,
        np.random.default_rng([options.seed, epoch]),
    )
    run.encoder.train()
    begun = stored = time.monotonic()
    for step in range(part.step, windows.n_batches):
        number = epoch * run.steps + step
        rng = np.random.default_rng([options.seed, epoch, step])
        torch.manual_seed((options.seed + run.ranks.rank) * 1_000_003 + number)
        set_rate(run.optimiser, number, options.epochs * run.steps)
        window = windows.batch(step, rng)
        mine = Window(*(array[run.ranks.rank :: run.ranks.size] for array in window))
        run.optimiser.zero_grad()
        loss, n = _slopes(run, mine, run.negatives.draw(rng))
        loss, n = run.ranks.mean_gradients(parameters, loss, n)
        if n > 0:
            nn.utils.clip_grad_norm_(parameters, 1.0)
            run.optimiser.step()
        part = part._replace(step=step + 1, loss=part.loss + loss * n, answers=part.answers + n)
        follow.advance(run, epoch, step + 1)
        now = time.monotonic()
        if follow.checkpoint is not None and now - stored >= follow.checkpoint.every_s:
            so_far = part._replace(seconds=state.part.seconds + now - begun)
            follow.store(run, state._replace(part=so_far))
            stored = now
    return part


def _slopes(run: _Run, window: Window, drawn: Tensor) -> tuple[float, int]:
    """The mean loss over how many answers; its gradients are in the weights."""
    asked = (window.items[:, :-1] != 0) & (window.items[:, 1:] != 0)
    if not asked.any():
        return 0.0, 0
    half = run.options.half_precision
    loss, n = window_loss(run.encoder, window, drawn, run.negatives, half, run.teacher)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item(), n
