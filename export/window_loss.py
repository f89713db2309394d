"""What the Transformer is to get right in a window: each event's next item, among drawn others."""

import torch
from torch import Tensor

from endcap.export.encoder import SessionEncoder
from endcap.export.imitation import Teacher, imitation
from endcap.export.sampled_softmax import Negatives, sampled_softmax
from endcap.export.windows import Window


def window_loss(
    encoder: SessionEncoder,
    window: Window,
    drawn: Tensor,
    negatives: Negatives,
    half: bool,
    teacher: Teacher | None,
) -> tuple[Tensor, int]:
    """The mean loss over the answers, and how many there are; `drawn` are the negatives.

    `half`: in bfloat16, but for the softmax. With a `teacher` its share of the loss is to expect
    what that one does.
    """
    device = encoder.device
    items, types, gaps = (torch.from_numpy(array).to(device) for array in window)
    inputs, wanted = items[:, :-1], items[:, 1:]
    asked = (inputs != 0) & (wanted != 0)
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
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
