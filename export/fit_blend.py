"""Learn the blend on questions that the Transformer and the indexes have not seen."""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from endcap.arrays import IntArray
from endcap.candidates.generators import Generators
from endcap.catalogue import CatalogueItem
from endcap.counted import counted
from endcap.export.blend import BlendedRescorer
from endcap.export.data.interactions import Cases
from endcap.export.progress import Progress
from endcap.export.questions import Vocabulary, batches

_ROWS = 64
_HELD_BACK = 5
"""One sequence in five of the last stage decides when to stop, and is not learned from there."""


class BlendFit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to learn the weights. `questions`: at most so many, drawn by chance. Where validation
    has fewer than `enough`, earlier ones join it."""

    questions: int = 30_000
    enough: int = 12_000
    epochs: int = 8
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3
    seed: int = 7


class Told(NamedTuple):
    """Questions as the network sees them: `ids` [B, N], `inputs` [B, N, n], `wanted` [B, N].

    All of them together lie in the machine's memory; one at a time goes to the model's device.
    """

    ids: Tensor
    inputs: Tensor
    wanted: Tensor


class Stage(NamedTuple):
    """Questions, and who answers them: indexes and `weights` of the Transformer that know nothing
    of what is asked."""

    asked: Cases
    generators: Generators
    weights: dict[str, Tensor]


def fit_blend(
    model: BlendedRescorer,
    stages: Sequence[Stage],
    items: tuple[CatalogueItem, ...],
    options: BlendFit,
    progress: Progress,
) -> float:
    """Train `model.network` in place; returns the held-back loss of the last stage.

    1. Draw questions, the last stage's first; gather their candidates as serving does.
    2. Standardise what the network is told.
    3. Cross-entropy of each list against an even share for each answer on it; the epoch with the
       lowest loss on the sequences held back is kept.
    """
    rng = np.random.default_rng(options.seed)
    learned: list[Told] = []
    held: list[Told] = []
    room = options.questions
    for left, stage in zip(range(len(stages), 0, -1), reversed(stages), strict=True):
        share = room if stage is stages[-1] else room // left
        drawn = np.sort(rng.permutation(stage.asked.size)[:share])
        room -= drawn.size
        to_learn, to_hold = tell(model, stage, drawn, items, progress)
        learned += to_learn
        if stage is stages[-1]:
            held = to_hold
        else:
            learned += to_hold
    _standardise(model, learned)
    torch.manual_seed(options.seed)
    optimiser = torch.optim.AdamW(
        model.network.parameters(),
        lr=options.learning_rate,
        weight_decay=options.weight_decay,
    )
    best, kept = float("inf"), copy.deepcopy(model.network.state_dict())
    steps = options.epochs * len(learned)
    for epoch in range(options.epochs):
        model.network.train()
        for step, number in enumerate(rng.permutation(len(learned)).tolist()):
            done = (epoch * len(learned) + step) / steps
            for group in optimiser.param_groups:
                group["lr"] = options.learning_rate * max(0.02, 1.0 - done)
            loss = _listwise(model, learned[number])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            progress.advance("Blend", epoch * len(learned) + step + 1, steps)
        model.network.eval()
        with torch.no_grad():
            lists = [_listwise(model, told) * told.ids.shape[0] for told in held]
        now = float(sum(lists)) / max(1, sum(told.ids.shape[0] for told in held))
        if now < best:
            best, kept = now, copy.deepcopy(model.network.state_dict())
    model.network.load_state_dict(kept)
    model.eval()
    progress.say(f"blend: held-back loss {best:.4f} after {counted(options.epochs, 'epoch')}")
    return best


def tell(
    model: BlendedRescorer,
    stage: Stage,
    drawn: npt.NDArray[np.intp],
    items: tuple[CatalogueItem, ...],
    progress: Progress,
) -> tuple[list[Told], list[Told]]:
    """Questions with an answer among their candidates, to learn from and held back."""
    cases = stage.asked.take(drawn)
    model.answer_with(stage.weights, stage.generators)
    model.eval()
    learned: list[Told] = []
    held: list[Told] = []
    done = 0
    vocabulary, length = Vocabulary(items, items), model.encoder.options.length
    for asked in batches(cases, vocabulary, stage.generators, length):
        with torch.no_grad():
            told = (torch.from_numpy(array).to(model.encoder.device) for array in asked.batch())
            ids, inputs = (tensor.cpu() for tensor in model.inputs(*told))
        wanted = torch.from_numpy(_answers(cases, asked.rows, asked.as_asked(ids.numpy())))
        answered = wanted.any(dim=1)
        is_held = torch.from_numpy(cases.sequences[asked.rows] % _HELD_BACK == 0)
        for into, chosen in ((learned, answered & ~is_held), (held, answered & is_held)):
            places = torch.nonzero(chosen).squeeze(1)
            for start in range(0, places.shape[0], _ROWS):
                part = places[start : start + _ROWS]
                width = int((ids[part] != 0).sum(dim=0).nonzero().max()) + 1
                into.append(
                    Told(ids[part, :width], inputs[part, :width], wanted[part, :width].float())
                )
        done += asked.rows.size
        progress.advance("Gathering", done, cases.size)
    return learned, held


def _answers(asked: Cases, rows: npt.NDArray[np.intp], ids: IntArray) -> npt.NDArray[np.bool_]:
    span = int(max(ids.max(), asked.targets.max(initial=0))) + 1
    taken = asked.take(rows)
    row = np.repeat(np.arange(rows.size), np.diff(taken.target_offsets))
    known = taken.targets > 0
    wanted = row[known] * span + taken.targets[known]
    return np.isin(np.arange(rows.size)[:, None] * span + ids, wanted) & (ids > 0)


def _standardise(model: BlendedRescorer, learned: list[Told]) -> None:
    rows = torch.cat(
        [told.inputs[told.ids != 0] for told in learned[:: max(1, len(learned) // 64)]]
    )
    model.mean.copy_(rows.mean(dim=0))
    model.deviation.copy_(rows.std(dim=0).clamp(min=1e-3))


def _listwise(model: BlendedRescorer, told: Told) -> Tensor:
    ids, inputs, wanted = (tensor.to(model.encoder.device) for tensor in told)
    scores = model.weigh(ids, inputs)
    share = wanted / wanted.sum(dim=1, keepdim=True)
    return -(share * torch.log_softmax(scores, dim=1)).sum(dim=1).mean()
