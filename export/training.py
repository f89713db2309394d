"""Train the Transformer on purchase sequences, then the blend on weeks it has not seen."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from endcap.batches import Batch, make_batch
from endcap.arrays import FloatArray
from endcap.events import EventType
from endcap.export.examples import Example
from endcap.export.transformer import Rescorer

_NEGATIVES = 1024
_BATCH = 128


class Progress(Protocol):
    """Who is told how far the work is."""

    def say(self, sentence: str) -> None:
        """A finished step."""

    def advance(self, what: str, done: int, of: int) -> None:
        """`done` of `of` steps of a task."""


def train_transformer(
    model: Rescorer, indexed: pl.DataFrame, epochs: int, progress: Progress, seed: int = 7
) -> None:
    """Next-item training on each shopper's purchases, baskets shuffled inside at every epoch.

    Sampled softmax over shared negatives drawn by frequency, with the log-q correction (Bengio
    and Senecal 2008; Yi et al., RecSys 2019). `indexed`: user_id, basket_id, index, timestamp_ms.
    """
    rng = np.random.default_rng(seed)
    stream = indexed["index"].to_numpy()
    counts = np.bincount(stream, minlength=model.items.num_embeddings).astype(np.float64)
    log_q = torch.tensor(np.log(counts / counts.sum() + 1e-9), dtype=torch.float32)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-3)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs, eta_min=1e-4)
    model.train()
    for epoch in range(epochs):
        total, batches = 0.0, 0
        for done, of, ids, types in _sequences(indexed, model.length + 1, rng):
            negatives = torch.from_numpy(rng.choice(stream, _NEGATIVES).astype(np.int64))
            loss = _sampled_softmax(model, ids, types, negatives, log_q)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            total, batches = total + loss.item(), batches + 1
            progress.advance("Transformer", epoch * of + done, epochs * of)
        plan.step()
        progress.say(f"epoch {epoch + 1}/{epochs}: loss {total / max(1, batches):.4f}")


def train_blend(
    model: Rescorer, validation: Sequence[Example], index_of: dict[str, int], progress: Progress
) -> None:
    """Learn how to weigh the Transformer beside the generators; the Transformer stays as it is.

    A fifth of the shoppers, chosen by hash, decides when to stop.
    """
    model.eval()
    batches = [(*_with_cosine(model, rows), held) for rows, held in _blend_batches(validation)]
    labels = [_labels(rows, index_of) for rows, _ in _blend_batches(validation)]
    optimiser = torch.optim.AdamW(model.blend.parameters(), lr=3e-3, weight_decay=1e-4)
    best, best_state, waited = float("inf"), model.blend.state_dict(), 0
    for epoch in range(80):
        losses: dict[bool, list[float]] = {True: [], False: []}
        for (batch, cosine, held), wanted in zip(batches, labels, strict=True):
            with torch.set_grad_enabled(not held):
                scores = model.weigh(
                    cosine, torch.from_numpy(batch.candidate_ids), torch.from_numpy(batch.features)
                )
                loss = _listwise(scores, wanted)
            if not held:
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            losses[held].append(loss.item())
        now = float(np.mean(losses[True]))
        if now < best - 1e-4:
            best, waited = now, 0
            best_state = {name: value.clone() for name, value in model.blend.state_dict().items()}
        else:
            waited += 1
        if epoch % 10 == 0 or waited == 8:
            progress.say(
                f"blend {epoch + 1}: loss {np.mean(losses[False]):.4f}, held back {now:.4f}"
            )
        if waited == 8:
            break
    model.blend.load_state_dict(best_state)


def all_item_vectors(model: Rescorer) -> FloatArray:
    """Normalised item embeddings [V+1, d]; row 0 is zero."""
    with torch.no_grad():
        vectors = model.item_vectors(torch.arange(model.items.num_embeddings)).numpy().copy()
    vectors[0] = 0.0
    return np.asarray(vectors, dtype=np.float32)


def _sampled_softmax(
    model: Rescorer, ids: Tensor, types: Tensor, negatives: Tensor, log_q: Tensor
) -> Tensor:
    inputs, targets = ids[:, :-1], ids[:, 1:]
    real = (targets != 0) & (inputs != 0)
    states = model.states(inputs, types[:, :-1])[real]
    wanted = targets[real]
    scale = model.log_temperature.exp()
    positive = (states * model.item_vectors(wanted)).sum(-1) * scale - log_q[wanted]
    other = states @ model.item_vectors(negatives).T * scale - log_q[negatives]
    other = other.masked_fill(wanted.unsqueeze(1) == negatives.unsqueeze(0), -1e9)
    logits = torch.cat([positive.unsqueeze(1), other], dim=1)
    return torch.nn.functional.cross_entropy(logits, torch.zeros(wanted.shape[0], dtype=torch.long))


def _sequences(
    indexed: pl.DataFrame, length: int, rng: np.random.Generator
) -> Iterator[tuple[int, int, Tensor, Tensor]]:
    """Batches of windows [B, length], padded on the left, in random order; before each its
    number, from 1, and how many there are."""
    shuffled = indexed.with_columns(pl.Series("within", rng.random(indexed.height))).sort(
        "user_id", "timestamp_ms", "basket_id", "within"
    )
    windows: list[npt.NDArray[np.int64]] = []
    for (_,), rows in shuffled.group_by("user_id", maintain_order=True):
        items = rows["index"].to_numpy().astype(np.int64)
        offset = int(rng.integers(0, length))
        windows += [items[max(0, end - length) : end] for end in _ends(items.size, offset, length)]
    order = rng.permutation(len(windows))
    codes = (EventType.PURCHASE.code, EventType.ADD_TO_CART.code)
    for start in range(0, len(order), _BATCH):
        chosen = [windows[i] for i in order[start : start + _BATCH]]
        ids = np.zeros((len(chosen), length), dtype=np.int64)
        for row, window in enumerate(chosen):
            ids[row, -window.size :] = window
        # Live sessions end in cart events and start in purchases: show the model both.
        turn = rng.integers(0, length + 1, size=(len(chosen), 1))
        is_cart = np.arange(length)[None, :] >= turn
        types = np.where(ids == 0, 0, np.where(is_cart, codes[1], codes[0]))
        number, of = start // _BATCH + 1, -(-len(order) // _BATCH)
        yield number, of, torch.from_numpy(ids), torch.from_numpy(types.astype(np.int64))


def _ends(size: int, offset: int, length: int) -> list[int]:
    step = length - 1
    ends = [end for end in range(offset + 2, size, step) if end >= 2]
    return [*ends, size] if size >= 2 else []


def _blend_batches(validation: Sequence[Example]) -> Iterator[tuple[list[Example], bool]]:
    for held in (False, True):
        rows = [e for e in validation if (zlib.crc32(e.user_id.encode()) % 5 == 0) is held]
        for start in range(0, len(rows), 256):
            yield rows[start : start + 256], held


def _with_cosine(model: Rescorer, rows: Sequence[Example]) -> tuple[Batch, Tensor]:
    batch = make_batch([e.shopper for e in rows], [e.candidates for e in rows], model.length)
    with torch.no_grad():
        query = model.states(torch.from_numpy(batch.item_ids), torch.from_numpy(batch.event_types))[
            :, -1
        ]
        vectors = model.item_vectors(torch.from_numpy(batch.candidate_ids))
        return batch, (vectors * query.unsqueeze(1)).sum(-1)


def _labels(rows: Sequence[Example], index_of: dict[str, int]) -> Tensor:
    width = max(e.candidates.ids.size for e in rows)
    labels = np.zeros((len(rows), width), dtype=np.float32)
    for row, example in enumerate(rows):
        wanted = [index_of[item] for item in example.bought if item in index_of]
        labels[row, : example.candidates.ids.size] = np.isin(example.candidates.ids, wanted)
    return torch.from_numpy(labels)


def _listwise(scores: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy of the list against an even share for each item bought."""
    share = wanted / wanted.sum(1, keepdim=True).clamp(min=1.0)
    return -(share * torch.log_softmax(scores, dim=1)).sum(1).mean()
