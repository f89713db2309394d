"""GRU4Rec as its author left it: a full loss over many sampled negatives, and tied embeddings.

Hidasi and Karatzoglou: "Recurrent neural networks with top-k gains for session-based
recommendations", CIKM 2018; Hidasi and Czapp: "The effect of third party implementations on
reproducibility", RecSys 2023, names what others leave out: the losses over additional negatives
drawn by popularity ** alpha, constrained embeddings, dropout of both kinds, Adagrad. All are here.
Whole sessions of near-equal length stand in one batch, in place of session-parallel steps.
"""

import copy
from collections.abc import Iterator
from typing import Literal

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from endcap.export.data.slates import Ranker
from endcap.export.opponents.opponent import Task, trained
from endcap.export.opponents.scored_slates import counts_of
from endcap.export.opponents.sequence_slates import SequenceSlates
from endcap.export.opponents.windows import batches, cut_windows, padded, shuffled_purchases

_TOKENS = 1024
"""Places of a batch: each target is a negative of all others."""


class Gru4RecOptions(msgspec.Struct, frozen=True):
    """`negatives` drawn for each batch with probability ~ popularity ** `alpha`; `log_q`: how
    much of the logarithm of that probability is taken from a score (cross-entropy alone); `reg`:
    the score regularisation of BPR-max."""

    loss: Literal["cross-entropy", "bpr-max"] = "cross-entropy"
    dim: int = 64
    dropout_items: float = 0.2
    dropout_states: float = 0.2
    learning_rate: float = 0.08
    negatives: int = 1024
    alpha: float = 0.5
    log_q: float = 1.0
    reg: float = 1.0
    length: int = 50
    exclude_seen: bool = False


class Gru4Rec(nn.Module):
    """One GRU layer; the input embeddings are the output's too ("constrained")."""

    def __init__(self, n_items: int, options: Gru4RecOptions) -> None:
        super().__init__()
        # Gradients of the few thousand rows a batch touches, not of 43,097.
        self.items = nn.Embedding(n_items + 1, options.dim, sparse=True)
        self.biases = nn.Embedding(n_items + 1, 1, sparse=True)
        self.gru = nn.GRU(options.dim, options.dim, batch_first=True)
        self.drop_items = nn.Dropout(options.dropout_items)
        self.drop_states = nn.Dropout(options.dropout_states)
        bound = (6.0 / (2 * options.dim)) ** 0.5
        nn.init.uniform_(self.items.weight, -bound, bound)
        nn.init.zeros_(self.biases.weight)

    def states(self, items: Tensor, lengths: Tensor) -> Tensor:
        """States [B, L, d]; padding comes after what is real, so nothing of it gets in."""
        hidden: Tensor = self.gru(self.drop_items(self.items(items)))[0]
        dropped: Tensor = self.drop_states(hidden)
        return dropped

    def catalogue(self) -> tuple[Tensor, Tensor]:
        """Vectors [V+1, d] and biases [V+1]."""
        return self.items.weight, self.biases.weight[:, 0]


def gru4rec_epochs(task: Task, options: Gru4RecOptions) -> Iterator[Ranker]:
    """Train without end, with a ranker after each epoch."""
    torch.manual_seed(task.seed)
    rng = np.random.default_rng(task.seed)
    model = Gru4Rec(task.n_items, options)
    optimiser = torch.optim.Adagrad(model.parameters(), lr=options.learning_rate)
    counts = counts_of(task.train, task.n_items)
    taught = counts > 0
    drawn = counts**options.alpha * taught
    cumulative = np.cumsum(drawn / max(drawn.sum(), 1e-12))
    log_p = torch.tensor(np.log(counts / max(counts.sum(), 1.0) + 1e-9), dtype=torch.float32)
    log_drawn = torch.tensor(np.log(drawn / max(drawn.sum(), 1e-12) + 1e-9), dtype=torch.float32)
    epoch = 0
    while True:
        # Anew each epoch: whoever asks for slates in between must not change what is drawn.
        torch.manual_seed(task.seed * 1000 + epoch)
        windows = cut_windows(shuffled_purchases(task.train, rng), options.length)
        for rows in batches(windows.lengths, _TOKENS, rng):
            ids = padded(windows.items, windows.starts[rows], windows.lengths[rows])
            extra = np.searchsorted(cumulative, rng.random(options.negatives)).clip(1, task.n_items)
            items = torch.from_numpy(ids)
            inputs, targets = items[:, :-1], items[:, 1:]
            real = targets != 0
            wanted = targets[real]
            shown = torch.cat([wanted, torch.from_numpy(extra)])
            states = model.states(inputs, real.sum(1))[real]
            scores = states @ model.items(shown).T + model.biases(shown)[:, 0]
            if options.loss == "bpr-max":
                loss = _bpr_max(scores, wanted, shown, options.reg)
            else:
                log_q = torch.cat([log_p[wanted], log_drawn[shown[wanted.shape[0] :]]])
                loss = _cross_entropy(scores - options.log_q * log_q, wanted, shown)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            # Said in so many words, for torch warns where it is left open.
            with torch.sparse.check_sparse_tensor_invariants(  # type: ignore[no-untyped-call]
                enable=False
            ):
                optimiser.step()
        epoch += 1
        yield SequenceSlates(copy.deepcopy(model), taught, options.length, options.exclude_seen)


def _cross_entropy(scores: Tensor, wanted: Tensor, shown: Tensor) -> Tensor:
    places = torch.arange(wanted.shape[0])
    scores = scores.masked_fill(_same(wanted, shown), -1e9)
    return nn.functional.cross_entropy(scores, places)


def _bpr_max(scores: Tensor, wanted: Tensor, shown: Tensor, reg: float) -> Tensor:
    """The mean of -log sum_j s_j sigmoid(r_i - r_j) + reg sum_j s_j r_j ** 2, with s the softmax
    over the negatives j; scores pass elu first, as published."""
    scores = nn.functional.elu(scores, alpha=0.5)
    positive = scores.diagonal().unsqueeze(1)
    negative = _same(wanted, shown)
    negative[torch.arange(wanted.shape[0]), torch.arange(wanted.shape[0])] = True
    weight = torch.softmax(scores.masked_fill(negative, -1e9), dim=1)
    ahead = (weight * torch.sigmoid(positive - scores)).sum(1)
    return (-torch.log(ahead + 1e-24) + reg * (weight * scores**2).sum(1)).mean()


def _same(wanted: Tensor, shown: Tensor) -> Tensor:
    """Where a negative is the target itself: it is no negative. The target's own place is not
    marked."""
    same = wanted.unsqueeze(1) == shown.unsqueeze(0)
    same[torch.arange(wanted.shape[0]), torch.arange(wanted.shape[0])] = False
    return same


GRU4REC = trained(
    "gru4rec",
    "Hidasi and Karatzoglou, CIKM 2018",
    Gru4RecOptions,
    gru4rec_epochs,
    # What matters most stands first: few trials reach the end.
    {
        "exclude_seen": (False, True),
        "loss": ("cross-entropy", "bpr-max"),
        "learning_rate": (0.08, 0.04, 0.15),
        "dropout_items": (0.2, 0.0, 0.45),
        "dim": (64, 128),
        "alpha": (0.5, 0.0, 0.75),
        "dropout_states": (0.2, 0.0, 0.4),
        "log_q": (1.0, 0.0),
    },
)
