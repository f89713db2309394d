"""The causal Transformer: a shopper's newest events to one vector in the space of the items."""

import math

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2Model

N_TYPES = 13
"""Twelve event types and padding."""
N_GAPS = 16
"""Steps of `gap_steps`: 0 for no gap known, 15 for a month and more."""


class EncoderOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The Transformer's size and what it forgets in training. `length`: events of a history."""

    dim: int = 96
    layers: int = 2
    heads: int = 2
    length: int = 50
    dropout: float = 0.2
    item_dropout: float = 0.2
    temperature: float = 0.07


class SessionEncoder(nn.Module):
    """GPT-2 blocks over (item + event type + time gap); the answer is a mixture of the session's
    own items and of what the blocks add.

    Items are normalised and tied: what is asked for lies in the space of what was seen, with a
    learned temperature (Hou et al., CORE, SIGIR 2022, sections 3.2 and 3.3). Where CORE encodes
    each prefix anew, the mixture here is causal attention, so that one pass trains every position.
    Index 0 is padding everywhere, on either side.
    """

    def __init__(self, n_items: int, options: EncoderOptions) -> None:
        super().__init__()
        self.options = options
        dim = options.dim
        self.items = nn.Embedding(n_items + 1, dim, padding_idx=0)
        self.types = nn.Embedding(N_TYPES, dim, padding_idx=0)
        self.gaps = nn.Embedding(N_GAPS, dim, padding_idx=0)
        self.blocks = GPT2Model(
            GPT2Config(
                vocab_size=1,
                n_positions=options.length,
                n_embd=dim,
                n_layer=options.layers,
                n_head=options.heads,
                resid_pdrop=options.dropout,
                embd_pdrop=0.0,
                attn_pdrop=options.dropout,
                use_cache=False,
                attn_implementation="sdpa",
            )
        )
        self.item_dropout = nn.Dropout(options.item_dropout)
        self.dropout = nn.Dropout(options.dropout)
        self.ask = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.add = nn.Linear(dim, dim, bias=False)
        self.log_temperature = nn.Parameter(torch.tensor(-math.log(options.temperature)))
        # A direction of small length turns quickly: with 0.02 the third epoch on Diginetica stood
        # at P@20 .523, with 0.1 at .459.
        nn.init.normal_(self.items.weight, std=0.02)
        for table in (self.types, self.gaps):
            nn.init.normal_(table.weight, std=0.02)
        for table in (self.items, self.types, self.gaps):
            with torch.no_grad():
                table.weight[0].zero_()

    @property
    def n_items(self) -> int:
        """V; item indexes run from 1 to V."""
        return self.items.num_embeddings - 1

    @property
    def device(self) -> torch.device:
        """Where the weights lie, and where inputs must."""
        return self.items.weight.device

    def keep_only(self, met: npt.NDArray[np.integer]) -> None:
        """Make the vectors of all items but `met` zero: what is never trained would lie somewhere
        by chance."""
        with torch.no_grad():
            kept = torch.zeros_like(self.items.weight[:, :1])
            kept[torch.from_numpy(met).to(self.device)] = 1.0
            self.items.weight *= kept

    def item_vectors(self, ids: Tensor) -> Tensor:
        """Normalised item vectors [..., d]; zero for padding."""
        return nn.functional.normalize(self.items(ids), dim=-1)

    def states(self, item_ids: Tensor, event_types: Tensor, time_gaps: Tensor) -> Tensor:
        """What to expect after each event [B, L, d], normalised. Inputs [B, L]."""
        real = item_ids != 0
        items = self.item_dropout(self.item_vectors(item_ids))
        # Normalised vectors are small beside what LayerNorm and the position table expect.
        scaled = items * (0.3 * math.sqrt(self.options.dim))
        positions = (real.to(torch.int64).cumsum(dim=1) - 1).clamp(min=0)
        hidden = self.blocks(
            inputs_embeds=scaled + self.types(event_types) + self.gaps(time_gaps),
            attention_mask=real.to(scaled.dtype),
            position_ids=positions,
        ).last_hidden_state
        hidden = self.dropout(hidden)
        weights = self.ask(hidden) @ self.key(hidden).transpose(1, 2)
        span = item_ids.shape[1]
        earlier = torch.ones(span, span, dtype=torch.bool, device=item_ids.device).tril()
        hidden_from = ~(earlier.unsqueeze(0) & real.unsqueeze(1))
        weights = (weights / math.sqrt(self.options.dim)).masked_fill(hidden_from, -1e9)
        mixed = weights.softmax(dim=-1) @ scaled + self.add(hidden)
        return nn.functional.normalize(mixed, dim=-1)


def untrained(
    n_items: int, options: EncoderOptions, seed: int, device: torch.device
) -> SessionEncoder:
    """A Transformer with weights drawn from `seed`."""
    torch.manual_seed(seed)
    return SessionEncoder(n_items, options).to(device)


def weights_of(encoder: SessionEncoder) -> dict[str, Tensor]:
    """A copy of its weights, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in encoder.state_dict().items()}
