"""The Transformer over the whole catalogue: vectors of questions, and where the answers stand."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from endcap.batches import gap_steps
from endcap.export.data.interactions import Cases
from endcap.export.encoder import SessionEncoder

_ROWS = 512


def history_batches(
    cases: Cases, length: int, rows: int = _ROWS
) -> Iterator[tuple[npt.NDArray[np.intp], Tensor, Tensor, Tensor]]:
    """(which cases, items, types, gaps), histories of near-equal length together, padded left."""
    starts = np.maximum(cases.starts(), cases.ends - length)
    sizes = cases.ends - starts
    order = np.argsort(sizes, kind="stable")
    events = cases.interactions
    for begin in range(0, order.size, rows):
        chosen = order[begin : begin + rows]
        width = max(1, int(sizes[chosen].max()))
        places = cases.ends[chosen][:, None] - np.arange(width, 0, -1)[None, :]
        inside = places >= starts[chosen][:, None]
        places = np.where(inside, places, 0)
        items = np.where(inside, events.items[places], 0).astype(np.int64)
        times = events.times_ms[places]
        gaps = np.zeros_like(items)
        gaps[:, 1:] = np.where(inside[:, :-1], gap_steps(times[:, 1:] - times[:, :-1]), 0)
        known = items != 0
        types = np.where(known, events.types[places], 0).astype(np.int64)
        gaps = np.where(known, gaps, 0)
        yield chosen, torch.from_numpy(items), torch.from_numpy(types), torch.from_numpy(gaps)


def question_vectors(encoder: SessionEncoder, cases: Cases) -> Tensor:
    """Normalised state after each history [n, d], on the encoder's device."""
    device = encoder.device
    found = torch.zeros(cases.size, encoder.options.dim, device=device)
    encoder.eval()
    with torch.no_grad():
        for chosen, items, types, gaps in history_batches(cases, encoder.options.length):
            told = (items.to(device), types.to(device), gaps.to(device))
            found[torch.from_numpy(chosen).to(device)] = encoder.states(*told)[:, -1]
    return found


def all_item_vectors(encoder: SessionEncoder) -> Tensor:
    """Normalised item vectors [V + 1, d]; row 0 is zero."""
    with torch.no_grad():
        return encoder.item_vectors(torch.arange(encoder.n_items + 1, device=encoder.device))


def hits_at(encoder: SessionEncoder, cases: Cases, k: int = 20) -> tuple[float, float]:
    """HR@k and MRR@k of the Transformer alone, over the whole catalogue, ties against us.

    For a question with several answers: the best placed.
    """
    vectors, table = question_vectors(encoder, cases), all_item_vectors(encoder)
    best = np.full(cases.size, np.inf)
    owner = np.repeat(np.arange(cases.size), np.diff(cases.target_offsets))
    for begin in range(0, cases.size, _ROWS):
        rows = slice(begin, min(begin + _ROWS, cases.size))
        scores = vectors[rows] @ table.T
        scores[:, 0] = -2.0
        places = slice(cases.target_offsets[rows.start], cases.target_offsets[rows.stop])
        wanted = torch.from_numpy(cases.targets[places].astype(np.int64)).to(table.device)
        asked = torch.from_numpy(owner[places] - begin).to(table.device)
        own = scores[asked, wanted].unsqueeze(1)
        rank = (scores[asked] >= own).sum(dim=1).cpu().numpy().astype(np.float64)
        rank[cases.targets[places] == 0] = np.inf
        np.minimum.at(best, owner[places], rank)
    inside = best <= k
    return float(inside.mean()), float(np.where(inside, 1.0 / best, 0.0).mean())
