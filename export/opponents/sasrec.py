"""SASRec: causal self-attention over a shopper's items.

Kang and McAuley: "Self-attentive sequential recommendation", ICDM 2018, with its binary
cross-entropy over one negative a position; and with a softmax over many sampled negatives, with
which it is stronger (Klenitskiy and Vasilev: "Turning dross into gold loss", RecSys 2023). The
positions count from the newest event, as the padding on the left does in the published code.
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


class SasRecOptions(msgspec.Struct, frozen=True):
    """`negatives`: of "sampled-softmax", drawn evenly from the catalogue for each batch; "bce" has
    one a position, as in the paper. `tokens`: places of a batch."""

    loss: Literal["sampled-softmax", "bce"] = "sampled-softmax"
    dim: int = 64
    layers: int = 2
    heads: int = 1
    dropout: float = 0.3
    learning_rate: float = 2e-3
    negatives: int = 1024
    tokens: int = 1024
    length: int = 50
    exclude_seen: bool = False


class SasRec(nn.Module):
    """Blocks of pre-normalised attention and point-wise feed-forward, tied item embeddings."""

    def __init__(self, n_items: int, options: SasRecOptions) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items + 1, options.dim)
        self.positions = nn.Embedding(options.length, options.dim)
        self.drop = nn.Dropout(options.dropout)
        self.blocks = nn.ModuleList(_Block(options) for _ in range(options.layers))
        self.norm = nn.LayerNorm(options.dim, eps=1e-8)
        nn.init.normal_(self.items.weight, std=0.02)
        nn.init.normal_(self.positions.weight, std=0.02)

    def states(self, items: Tensor, lengths: Tensor) -> Tensor:
        """States [B, L, d]; padding comes after what is real, where attention never looks."""
        back = lengths.unsqueeze(1) - 1 - torch.arange(items.shape[1]).unsqueeze(0)
        return self.states_of(self.items(items), back.clamp(min=0))

    def states_of(self, vectors: Tensor, back: Tensor) -> Tensor:
        """The same from item vectors [B, L, d] that stand `back` [B, L] events from the newest."""
        hidden = self.drop(vectors * self.items.embedding_dim**0.5 + self.positions(back))
        for block in self.blocks:
            hidden = block(hidden)
        normed: Tensor = self.norm(hidden)
        return normed

    def catalogue(self) -> tuple[Tensor, Tensor]:
        """Vectors [V+1, d]; the biases are zero."""
        return self.items.weight, torch.zeros(self.items.num_embeddings)


class _Block(nn.Module):
    def __init__(self, options: SasRecOptions) -> None:
        super().__init__()
        self.heads = options.heads
        self.dropout = options.dropout
        self.before_attention = nn.LayerNorm(options.dim, eps=1e-8)
        self.query = nn.Linear(options.dim, options.dim)
        self.key_value = nn.Linear(options.dim, 2 * options.dim)
        self.out = nn.Linear(options.dim, options.dim)
        self.before_forward = nn.LayerNorm(options.dim, eps=1e-8)
        self.forward_parts = nn.Sequential(
            nn.Linear(options.dim, options.dim),
            nn.Dropout(options.dropout),
            nn.ReLU(),
            nn.Linear(options.dim, options.dim),
            nn.Dropout(options.dropout),
        )

    def forward(self, hidden: Tensor) -> Tensor:
        # The published block normalises the queries alone, and adds its input back to them.
        queries = self.before_attention(hidden)
        key, value = self.key_value(hidden).chunk(2, dim=-1)
        attended = nn.functional.scaled_dot_product_attention(
            self._split(self.query(queries)),
            self._split(key),
            self._split(value),
            is_causal=True,
            dropout_p=self.dropout if self.training else 0.0,
        )
        hidden = queries + self.out(attended.transpose(1, 2).flatten(2))
        normed = self.before_forward(hidden)
        result: Tensor = normed + self.forward_parts(normed)
        return result

    def _split(self, hidden: Tensor) -> Tensor:
        rows, length, dim = hidden.shape
        return hidden.view(rows, length, self.heads, dim // self.heads).transpose(1, 2)


def sasrec_epochs(task: Task, options: SasRecOptions) -> Iterator[Ranker]:
    """Train without end, with a ranker after each epoch."""
    torch.manual_seed(task.seed)
    rng = np.random.default_rng(task.seed)
    model = SasRec(task.n_items, options)
    taught = counts_of(task.train, task.n_items) > 0
    optimiser = torch.optim.Adam(
        model.parameters(), lr=options.learning_rate, betas=(0.9, 0.98), fused=True
    )
    loss_of = _bce if options.loss == "bce" else _sampled_softmax
    epoch = 0
    while True:
        # Anew each epoch: whoever asks for slates in between must not change what is drawn.
        torch.manual_seed(task.seed * 1000 + epoch)
        windows = cut_windows(shuffled_purchases(task.train, rng), options.length)
        for rows in batches(windows.lengths, options.tokens, rng):
            items = torch.from_numpy(
                padded(windows.items, windows.starts[rows], windows.lengths[rows])
            )
            loss = loss_of(model, items, options.negatives)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        epoch += 1
        yield SequenceSlates(copy.deepcopy(model), taught, options.length, options.exclude_seen)


def _sampled_softmax(model: SasRec, items: Tensor, negatives: int) -> Tensor:
    drawn = torch.randint(1, model.items.num_embeddings, (negatives,))
    states, wanted, target, other = _looked_up(model, items, drawn)
    positive = (states * target).sum(-1, keepdim=True)
    others = states @ other.T
    others = others.masked_fill(wanted.unsqueeze(1) == drawn.unsqueeze(0), -1e9)
    # Evenly drawn negatives stand for V / `negatives` items each.
    others = others + float(np.log((model.items.num_embeddings - 1) / negatives))
    first = torch.zeros(wanted.shape[0], dtype=torch.long)
    return nn.functional.cross_entropy(torch.cat([positive, others], dim=1), first)


def _bce(model: SasRec, items: Tensor, _negatives: int) -> Tensor:
    drawn = torch.randint(1, model.items.num_embeddings, (int((items[:, 1:] != 0).sum()),))
    states, _, target, other = _looked_up(model, items, drawn)
    positive, negative = (states * target).sum(-1), (states * other).sum(-1)
    return -(nn.functional.logsigmoid(positive) + nn.functional.logsigmoid(-negative)).mean()


def _looked_up(
    model: SasRec, items: Tensor, drawn: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States [N, d], targets [N] and their vectors [N, d], and those of the negatives.

    One look-up for all: each has a gradient as large as the table, 11 MB for 43,097 items, and
    three of them took two thirds of an epoch.
    """
    vectors = model.items(torch.cat([items.flatten(), drawn]))
    rows = vectors[: items.numel()].unflatten(0, items.shape)
    real = items[:, 1:] != 0
    lengths = real.sum(1, keepdim=True)
    back = (lengths - 1 - torch.arange(real.shape[1])).clamp(min=0)
    states = model.states_of(rows[:, :-1], back)[real]
    return states, items[:, 1:][real], rows[:, 1:][real], vectors[items.numel() :]


SASREC = trained(
    "sasrec",
    "Kang and McAuley, ICDM 2018; Klenitskiy and Vasilev, RecSys 2023",
    SasRecOptions,
    sasrec_epochs,
    # What matters most stands first: few trials reach the end.
    {
        "exclude_seen": (False, True),
        "dropout": (0.3, 0.1, 0.5),
        "learning_rate": (2e-3, 1e-3, 4e-3),
        "dim": (64, 128),
        "loss": ("sampled-softmax", "bce"),
        "negatives": (1024, 256, 4096),
        "heads": (1, 2),
    },
)
