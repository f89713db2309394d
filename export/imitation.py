"""A student's second loss: to expect what its teacher expects, not only what came."""

from typing import NamedTuple

import torch
from torch import Tensor

from endcap.export.encoder import SessionEncoder

_OTHERS = 1024
"""Items beside the answer: logits [n, 1,025] of both stay small beside the other loss."""


class Teacher(NamedTuple):
    """A trained Transformer over the same items, its dropout off.

    `share` of the loss is imitation; both distributions are softened by `temperature`.
    """

    encoder: SessionEncoder
    share: float = 0.5
    temperature: float = 2.0


def imitation(
    student: SessionEncoder,
    states: Tensor,
    teacher: Teacher,
    inputs: tuple[Tensor, Tensor, Tensor],
    asked: Tensor,
    answers: Tensor,
    drawn: Tensor,
) -> Tensor:
    """Mean divergence of the student from its teacher over the answer and shared negatives.

    `states` [n, d] the student's, where `asked` [B, L] of `inputs` (items, types, gaps) [B, L];
    `answers` [n]; `drawn` [k]. KL(teacher, student) times the square of the temperature, so that
    its gradient stays as large beside the other loss (Hinton, Vinyals and Dean, arXiv 1503.02531,
    section 2).
    """
    distinct = torch.unique(drawn)
    others = distinct[:: -(-distinct.shape[0] // _OTHERS)]
    with torch.no_grad():
        expected = teacher.encoder.states(*inputs)[asked]
        wanted = _logits(teacher.encoder, expected, answers, others) / teacher.temperature
        shares = wanted.softmax(dim=1)
    given = _logits(student, states, answers, others) / teacher.temperature
    difference = torch.where(
        shares > 0, shares * (wanted.log_softmax(dim=1) - given.log_softmax(dim=1)), 0.0
    )
    return difference.sum(dim=1).mean() * teacher.temperature**2


def _logits(encoder: SessionEncoder, states: Tensor, answers: Tensor, others: Tensor) -> Tensor:
    """[n, 1 + k]: the answer first; a negative that is the answer itself does not count."""
    positive = (states * encoder.item_vectors(answers)).sum(dim=1, keepdim=True)
    negative = states @ encoder.item_vectors(others).T
    logits = torch.cat([positive, negative], dim=1) * encoder.log_temperature.exp()
    is_answer = answers.unsqueeze(1) == others.unsqueeze(0)
    doubled = torch.cat([torch.zeros_like(is_answer[:, :1]), is_answer], dim=1)
    return logits.masked_fill(doubled, -1e4)
