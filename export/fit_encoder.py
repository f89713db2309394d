"""Train the Transformer: every position of every window, one pass, with checkpoints."""

import copy
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from endcap.export.data.interactions import Cases, Interactions
from endcap.export.encoder import SessionEncoder
from endcap.export.imitation import Teacher, imitation
from endcap.export.progress import Progress
from endcap.export.retrieval import hits_at
from endcap.export.sampled_softmax import Negatives, sampled_softmax
from endcap.export.windows import Window, epoch_of_windows, n_batches


class FitOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to train. `positions`: events a batch; 0 chooses by the size of the data.

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


class Epoch(NamedTuple):
    """One line of the training curve. `valid_hr` and `valid_mrr` at 20; NaN without validation."""

    loss: float
    valid_hr: float
    valid_mrr: float
    seconds: float


def fit_encoder(
    encoder: SessionEncoder,
    train: Interactions,
    validation: Cases | None,
    options: FitOptions,
    progress: Progress,
    checkpoint: Path | None = None,
    after_epoch: Callable[[list[Epoch]], None] | None = None,
    teacher: Teacher | None = None,
) -> list[Epoch]:
    """Train in place; with `validation` the best epoch's weights are what is left.

    1. Go on from `checkpoint`, where there is one.
    2. For each epoch: windows of all events, a step a batch; the rate falls linearly.
    3. After each epoch: measure on `validation`, write the checkpoint, stop when nothing improves.

    `after_epoch` is told the curve so far and may end it all by raising. With a `teacher` the loss
    is mixed with what that one expects.

    Randomness is drawn anew from (seed, epoch, step): what was interrupted ends as if it had not
    been.
    """
    answers = train.items[train.items > 0]
    negatives = Negatives(answers, encoder.n_items, options.negatives)
    optimiser = _optimiser(encoder, options)
    steps = n_batches(train, encoder.options.length + 1, options.positions)
    state = _FitState([], 0, None)
    if checkpoint is not None and checkpoint.exists():
        state = _restore(checkpoint, encoder, optimiser)
        progress.say(f"going on after epoch {len(state.curve)} of {checkpoint}")
    for epoch in range(len(state.curve), options.epochs):
        begun = time.monotonic()
        loss = _one_epoch(
            encoder, train, negatives, optimiser, options, epoch, steps, progress, teacher
        )
        figure = hits_at(encoder, validation) if validation is not None else (np.nan, np.nan)
        state.curve.append(Epoch(loss, *figure, time.monotonic() - begun))
        progress.say(
            f"epoch {epoch + 1}/{options.epochs}: loss {loss:.4f}, validation HR@20 "
            f"{figure[0]:.4f}, MRR@20 {figure[1]:.4f}, {state.curve[-1].seconds:.0f} s"
        )
        if validation is None or _figure(state.curve[-1]) >= _figure(state.curve[state.best]):
            state = _FitState(state.curve, epoch, copy.deepcopy(encoder.state_dict()))
        if checkpoint is not None:
            _store(checkpoint, encoder, optimiser, state)
        if after_epoch is not None:
            after_epoch(state.curve)
        if epoch - state.best >= options.patience:
            break
    if state.weights is not None:
        encoder.load_state_dict(state.weights)
    encoder.eval()
    return state.curve


class _FitState(NamedTuple):
    curve: list[Epoch]
    best: int
    weights: dict[str, Tensor] | None


def _figure(epoch: Epoch) -> float:
    return (epoch.valid_hr + epoch.valid_mrr) / 2


def _one_epoch(
    encoder: SessionEncoder,
    train: Interactions,
    negatives: Negatives,
    optimiser: torch.optim.Optimizer,
    options: FitOptions,
    epoch: int,
    steps: int,
    progress: Progress,
    teacher: Teacher | None,
) -> float:
    rng = np.random.default_rng([options.seed, epoch])
    encoder.train()
    total, count = 0.0, 0
    windows = epoch_of_windows(train, encoder.options.length + 1, options.positions, rng)
    for step, window in enumerate(windows):
        torch.manual_seed(options.seed * 1_000_003 + epoch * steps + step)
        done = (epoch * steps + step) / max(1, options.epochs * steps)
        warm = min(1.0, (epoch * steps + step + 1) / 200)
        for group in optimiser.param_groups:
            group["lr"] = group["full_rate"] * warm * max(0.03, 1.0 - 0.97 * done)
        drawn = negatives.draw(rng)
        loss, n = _loss(encoder, window, drawn, negatives, options.half_precision, teacher)
        if n == 0:
            continue
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimiser.step()
        total, count = total + loss.item() * n, count + n
        progress.advance(
            "Transformer", epoch * steps + min(step + 1, steps), options.epochs * steps
        )
    return total / max(1, count)


def _loss(
    encoder: SessionEncoder,
    window: Window,
    drawn: Tensor,
    negatives: Negatives,
    half: bool,
    teacher: Teacher | None,
) -> tuple[Tensor, int]:
    items, types, gaps = (torch.from_numpy(array) for array in window)
    inputs, wanted = items[:, :-1], items[:, 1:]
    asked = (inputs != 0) & (wanted != 0)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        states = encoder.states(inputs, types[:, :-1], gaps[:, :-1])[asked]
    answers = wanted[asked]
    loss = sampled_softmax(
        states.float(),
        encoder.item_vectors(answers),
        encoder.item_vectors(drawn),
        encoder.log_temperature.exp(),
        answers,
        drawn,
        negatives.correction(drawn),
    )
    if teacher is not None:
        inputs_of_teacher = (inputs, types[:, :-1], gaps[:, :-1])
        taught = imitation(
            encoder, states.float(), teacher, inputs_of_teacher, asked, answers, drawn
        )
        loss = (1.0 - teacher.share) * loss + teacher.share * taught
    return loss, int(answers.shape[0])


def _optimiser(encoder: SessionEncoder, options: FitOptions) -> torch.optim.Optimizer:
    """AdamW; tables and biases do not decay, and the item table learns faster."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in encoder.named_parameters():
        if name == "items.weight":
            continue
        is_matrix = parameter.dim() > 1 and not name.startswith(("types", "gaps"))
        (matrices if is_matrix else others).append(parameter)
    rate = options.learning_rate
    groups = [
        {"params": matrices, "weight_decay": options.weight_decay, "full_rate": rate},
        {"params": others, "weight_decay": 0.0, "full_rate": rate},
        {
            "params": [encoder.items.weight],
            "weight_decay": 0.0,
            "full_rate": rate * options.item_rate,
        },
    ]
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def _store(
    checkpoint: Path, encoder: SessionEncoder, optimiser: torch.optim.Optimizer, state: _FitState
) -> None:
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    unfinished = checkpoint.with_suffix(".part")
    torch.save(
        {
            "encoder": encoder.state_dict(),
            "optimiser": optimiser.state_dict(),
            "curve": [tuple(epoch) for epoch in state.curve],
            "best": state.best,
            "weights": state.weights,
        },
        unfinished,
    )
    os.replace(unfinished, checkpoint)


def _restore(
    checkpoint: Path, encoder: SessionEncoder, optimiser: torch.optim.Optimizer
) -> _FitState:
    held = torch.load(checkpoint, weights_only=True)
    encoder.load_state_dict(held["encoder"])
    optimiser.load_state_dict(held["optimiser"])
    return _FitState([Epoch(*row) for row in held["curve"]], held["best"], held["weights"])
