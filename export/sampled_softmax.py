"""Cross-entropy over the catalogue, estimated from negatives that a whole batch shares."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from endcap.arrays import IntArray

UNIFORM_SHARE = 0.5
"""Of the negatives; the rest come by frequency. Rare items then are pushed away too."""
_CHUNK = 1 << 21
"""Logits held at once: 8 MiB stay in the cache. Whole (3,300 x 4,096) they cost 4 times as long."""
_BLOCK = 1 << 20
"""Events counted together."""


class Negatives:
    """Draws items half by how often they are answers, half evenly, and knows each one's chance.

    Training's own items alone, of all `n_items` that have a number: `items` [N] come from what may
    be learned from, 0 for unknown ones.
    They are counted block by block: they may be memory-mapped. `met` [m]: those, ascending.
    """

    def __init__(self, items: IntArray, n_items: int, n: int, device: torch.device) -> None:
        self._device = device
        counts = np.zeros(n_items + 1, dtype=np.int64)
        for begin in range(0, items.size, _BLOCK):
            counts += np.bincount(items[begin : begin + _BLOCK], minlength=n_items + 1)
        counts[0] = 0
        self._counted = np.cumsum(counts)
        self.met = np.flatnonzero(counts)
        shares = counts / max(1, self._counted[-1])
        chance = (1 - UNIFORM_SHARE) * shares + UNIFORM_SHARE / max(1, self.met.size)
        self._log_chance = torch.tensor(np.log(chance), dtype=torch.float32, device=device)
        self.n = min(n, self.met.size)
        self.everything = self.n == self.met.size

    def draw(self, rng: np.random.Generator) -> Tensor:
        """`n` items, ascending, with repeats; all of them once where the catalogue is no larger."""
        if self.everything:
            return torch.from_numpy(self.met).to(self._device)
        evenly = int(self.n * UNIFORM_SHARE)
        events = rng.integers(0, self._counted[-1], self.n - evenly)
        by_frequency = np.searchsorted(self._counted, events, side="right")
        drawn = np.concatenate([by_frequency, self.met[rng.integers(0, self.met.size, evenly)]])
        return torch.from_numpy(np.sort(drawn.astype(np.int64))).to(self._device)

    def correction(self, drawn: Tensor) -> Tensor:
        """What to take from a drawn item's logit: the logarithm of how often it is expected."""
        if self.everything:
            return torch.zeros(drawn.shape[0], device=self._device)
        return self._log_chance[drawn] + float(np.log(self.n))


def sampled_softmax(
    states: Tensor,
    answers: Tensor,
    others: Tensor,
    scale: Tensor,
    wanted: Tensor,
    drawn: Tensor,
    correction: Tensor,
) -> Tensor:
    """Mean cross-entropy of `answers` [n, d], the vectors of items `wanted` [n], after `states`.

    `others` [k, d]: the vectors of the negatives `drawn` [k], ascending. The sum over the catalogue
    is estimated by importance: each negative's term divided by its chance (Bengio and Senecal, IEEE
    TNN 2008); a negative that is the answer itself is left out.
    """
    loss: Tensor = _Chunked.apply(  # type: ignore[no-untyped-call]
        states, answers, others, scale, wanted, drawn, correction
    )
    return loss


class _Chunked(torch.autograd.Function):
    """The loss and its gradients in one pass over pieces of the logits, which are never whole."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        answers: Tensor,
        others: Tensor,
        scale: Tensor,
        wanted: Tensor,
        drawn: Tensor,
        correction: Tensor,
    ) -> Tensor:
        n, k = states.shape[0], others.shape[0]
        scaled = states * scale
        positive = (scaled * answers).sum(dim=1)
        first = torch.searchsorted(drawn, wanted)
        doubles = torch.searchsorted(drawn, wanted, right=True) - first
        pulled = torch.empty_like(states)
        pushed = torch.zeros_like(others)
        own = states.new_empty(n)
        loss = states.new_zeros(())
        rows = max(1, _CHUNK // k)
        buffer = states.new_empty(min(rows, n), k)
        for start in range(0, n, rows):
            part = slice(start, min(start + rows, n))
            logits = torch.mm(scaled[part], others.T, out=buffer[: part.stop - start])
            logits -= correction
            row = torch.repeat_interleave(doubles[part])
            begin = torch.cumsum(doubles[part], 0) - doubles[part]
            column = first[part][row] + torch.arange(row.shape[0], device=row.device) - begin[row]
            logits[row, column] = -torch.inf
            highest = torch.maximum(logits.amax(dim=1), positive[part])
            logits.sub_(highest.unsqueeze(1)).exp_()
            own_part = (positive[part] - highest).exp()
            total = logits.sum(dim=1) + own_part
            loss += (total.log() - (positive[part] - highest)).sum()
            own[part] = own_part / total - 1.0
            logits.div_(total.unsqueeze(1))
            pulled[part] = logits @ others
            pushed.addmm_(logits.T, scaled[part])
        slope = pulled + own.unsqueeze(1) * answers
        ctx.save_for_backward(
            slope * (scale / n),
            (own / n).unsqueeze(1) * scaled,
            pushed / n,
            (slope * states).sum() / n,
        )
        return loss / n

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        states, answers, others, scale = ctx.saved_tensors
        return states * grad, answers * grad, others * grad, scale * grad, None, None, None
