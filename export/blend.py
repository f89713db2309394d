"""The blend: one small network that weighs, for each candidate, what the generators say beside the
Transformer, and the whole as one module that becomes one ONNX graph."""

import msgspec
import torch
from torch import Tensor, nn

from endcap.candidates import GENERATED
from endcap.candidates.features import FACTS, INPUTS, facts_of
from endcap.candidates.generators import Generators
from endcap.export.encoder import SessionEncoder
from endcap.scoring.catalogue import LEAST

OWN = 100
"""How many of its own nearest items the Transformer adds to the candidates."""
_LOWEST = -1e9


class BlendOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`width`: of the two hidden layers. `own`: items that the Transformer adds by itself."""

    width: int = 64
    dropout: float = 0.1
    own: int = OWN


class BlendedRescorer(nn.Module):
    """Candidates and the Transformer's own nearest items, scored.

    For each candidate: the Transformer's log probability over the catalogue and its cosine; the
    features; each generator's score as a share of its highest in this list; the item's log
    popularity, of all time and now (`facts` [V + 1, 2]); the context of the shopper. Standardised,
    then two hidden layers.
    """

    facts: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, encoder: SessionEncoder, options: BlendOptions) -> None:
        """Ready to answer after `answer_with`."""
        super().__init__()
        self.encoder, self.options = encoder, options
        self.register_buffer("facts", torch.zeros(encoder.n_items + 1, len(FACTS)))
        width = len(INPUTS)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.first = nn.Linear(width, options.width)
        self.network = nn.Sequential(
            self.first,
            nn.ReLU(),
            nn.Dropout(options.dropout),
            nn.Linear(options.width, options.width),
            nn.ReLU(),
            nn.Linear(options.width, 1),
        )

    def answer_with(self, weights: dict[str, Tensor], generators: Generators) -> None:
        """Take over what the Transformer and the indexes know at one point in time."""
        self.encoder.load_state_dict(weights)
        self.know_popularity(generators)

    def know_popularity(self, generators: Generators) -> None:
        """As the indexes have it."""
        self.facts.copy_(torch.from_numpy(facts_of(generators)))

    def forward(
        self,
        item_ids: Tensor,
        event_types: Tensor,
        time_gaps: Tensor,
        candidate_ids: Tensor,
        features: Tensor,
        context: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Item ids and scores [B, C + own], the candidates first; padding has id 0 and -1e9."""
        ids, inputs = self.inputs(
            item_ids, event_types, time_gaps, candidate_ids, features, context
        )
        return ids, self.weigh(ids, inputs)

    def inputs(
        self,
        item_ids: Tensor,
        event_types: Tensor,
        time_gaps: Tensor,
        candidate_ids: Tensor,
        features: Tensor,
        context: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """All candidates [B, C + own] and what the network is told of each [B, C + own, n]."""
        # A session without a known item says nothing: without this its scores would depend on how
        # far the rest of the batch has padded it.
        known = (item_ids != 0).any(dim=1, keepdim=True).to(torch.float32)
        query = self.encoder.states(item_ids, event_types, time_gaps)[:, -1] * known
        table = nn.functional.normalize(self.encoder.items.weight, dim=-1)
        cosine = query @ table.T
        logits = cosine * self.encoder.log_temperature.exp()
        logits = torch.cat([torch.full_like(logits[:, :1], -1e4), logits[:, 1:]], dim=1)
        # A mask over the catalogue instead of all pairs, and the highest from the top instead of
        # ONNX Runtime's own ReduceLogSumExp: 256 rows take 94 ms instead of 140 (12,101 items).
        highest, own = torch.topk(logits, self.options.own, dim=1)
        shifted = logits - highest[:, :1]
        probability = shifted - shifted.exp().sum(dim=1, keepdim=True).log()
        # What the model knows nothing of has an index behind the catalogue, and the row of nothing.
        known_ids = candidate_ids.masked_fill(candidate_ids > self.encoder.n_items, 0)
        is_candidate = torch.zeros_like(logits).scatter(
            1, known_ids, torch.ones_like(known_ids, dtype=logits.dtype)
        )
        is_double = is_candidate.gather(1, own) > 0
        added = own.masked_fill(is_double, 0)
        ids, rows = (torch.cat([each, added], dim=1) for each in (candidate_ids, known_ids))
        nothing = torch.zeros_like(features[:, :1, :]).expand(-1, self.options.own, -1)
        told = torch.cat([features, nothing], dim=1)
        scores = told[:, :, GENERATED:]
        shares = scores / scores.amax(dim=1, keepdim=True).clamp(min=1e-6)
        inputs = torch.cat(
            [
                probability.gather(1, rows).unsqueeze(2).clamp(min=LEAST),
                cosine.gather(1, rows).unsqueeze(2),
                told,
                shares,
                self.facts[rows],
                context.unsqueeze(1).expand(-1, ids.shape[1], -1),
            ],
            dim=2,
        )
        return ids, inputs

    def importance(self) -> dict[str, float]:
        """How strongly the first layer reads each input: the length of its weights, of inputs of
        like spread, as a share of all."""
        lengths = self.first.weight.detach().norm(dim=0)
        shares = (lengths / lengths.sum()).tolist()
        return dict(zip(INPUTS, shares, strict=True))

    def weigh(self, ids: Tensor, inputs: Tensor) -> Tensor:
        """Scores [B, N] of the network alone."""
        scores: Tensor = self.network((inputs - self.mean) / self.deviation).squeeze(-1)
        return scores.masked_fill(ids == 0, _LOWEST)
