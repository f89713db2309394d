"""How the Transformer's parameters learn: AdamW, and a rate that rises shortly and falls long."""

import torch
from torch import nn

from endcap.export.encoder import SessionEncoder

_WARM_STEPS = 200


def adamw(
    encoder: SessionEncoder, rate: float, item_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Tables and biases do not decay, and the item table learns `item_rate` times as fast."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in encoder.named_parameters():
        if name == "items.weight":
            continue
        is_matrix = parameter.dim() > 1 and not name.startswith(("types", "gaps"))
        (matrices if is_matrix else others).append(parameter)
    groups = [
        {"params": matrices, "weight_decay": weight_decay, "full_rate": rate},
        {"params": others, "weight_decay": 0.0, "full_rate": rate},
        {
            "params": [encoder.items.weight],
            "weight_decay": 0.0,
            "full_rate": rate * item_rate,
        },
    ]
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def set_rate(optimiser: torch.optim.Optimizer, number: int, steps: int) -> None:
    """The rate of step `number` of about `steps`."""
    done = number / max(1, steps)
    warm = min(1.0, (number + 1) / _WARM_STEPS)
    for group in optimiser.param_groups:
        group["lr"] = group["full_rate"] * warm * max(0.03, 1.0 - 0.97 * done)
