"""The causal Transformer and the blend that weighs its score with the candidates' features."""

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2Model

N_TYPES = 13
"""Twelve event types and padding."""


class Rescorer(nn.Module):
    """GPT-2 blocks over (item + event type), tied and normalised item embeddings, a small blend.

    Inputs are padded on the left, so that the newest event is always last and positions can be
    counted from the end. Index 0 is padding everywhere. Normalised embeddings with a learned
    temperature follow Hou et al., CORE, SIGIR 2022, section 3.3.
    """

    def __init__(
        self, n_items: int, n_features: int, dim: int = 64, layers: int = 2, length: int = 50
    ) -> None:
        super().__init__()
        self.length = length
        self.items = nn.Embedding(n_items + 1, dim, padding_idx=0)
        self.types = nn.Embedding(N_TYPES, dim, padding_idx=0)
        config = GPT2Config(
            vocab_size=1,
            n_positions=length,
            n_embd=dim,
            n_layer=layers,
            n_head=2,
            resid_pdrop=0.2,
            embd_pdrop=0.2,
            attn_pdrop=0.1,
            use_cache=False,
            attn_implementation="eager",
        )
        self.blocks = GPT2Model(config)
        self.log_temperature = nn.Parameter(torch.tensor(2.66))  # exp(2.66) = 1 / 0.07
        self.blend = nn.Sequential(nn.Linear(n_features + 1, 24), nn.GELU(), nn.Linear(24, 1))
        nn.init.normal_(self.items.weight, std=0.05)

    def states(self, item_ids: Tensor, event_types: Tensor) -> Tensor:
        """Hidden states [B, L, d], each normalised; L at most `length`."""
        mask = (item_ids != 0).to(torch.float32)
        span = item_ids.shape[1]
        positions = torch.arange(span, device=item_ids.device).unsqueeze(0)
        # Position 0 is the newest event: a short session and a long one then agree about "last".
        positions = (span - 1) - positions
        hidden: Tensor = self.blocks(
            inputs_embeds=self.items(item_ids) + self.types(event_types),
            attention_mask=mask,
            position_ids=positions,
        ).last_hidden_state
        states: Tensor = nn.functional.normalize(hidden, dim=-1)
        return states

    def item_vectors(self, ids: Tensor) -> Tensor:
        """Normalised embeddings of item indexes."""
        return nn.functional.normalize(self.items(ids), dim=-1)

    def forward(
        self, item_ids: Tensor, event_types: Tensor, candidate_ids: Tensor, features: Tensor
    ) -> Tensor:
        """Scores [B, C] of candidates for the newest position; padding candidates get -1e9."""
        # A session without a known item says nothing: without this, its scores would depend on
        # how far the rest of the batch has padded it.
        known = (item_ids != 0).any(dim=1, keepdim=True).to(torch.float32)
        query = self.states(item_ids, event_types)[:, -1] * known
        cosine = (self.item_vectors(candidate_ids) * query.unsqueeze(1)).sum(-1)
        return self.weigh(cosine, candidate_ids, features)

    def weigh(self, cosine: Tensor, candidate_ids: Tensor, features: Tensor) -> Tensor:
        """The blend alone, from the Transformer's cosine similarities [B, C]."""
        inputs = torch.cat([cosine.unsqueeze(-1) * 4.0, features], dim=-1)
        scores: Tensor = self.blend(inputs).squeeze(-1)
        return scores.masked_fill(candidate_ids == 0, -1e9)
