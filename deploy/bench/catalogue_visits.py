"""Requests of the catalogue benchmark: real shoppers' events, in visits of a real length."""

from pathlib import Path

import numpy as np

from endcap.batches import known_events
from endcap.bundle import Bundle
from endcap.deploy.bench.workload import EVENTS_A_VISIT
from endcap.deploy.replay import load_shop, purchase_sessions
from endcap.serving.query_encoder import Visit


def made_visits(bundle: Bundle, count: int, seed: int = 1) -> list[Visit]:
    """Complete Journey's shoppers in turn, each at a random moment of their newest 50 events.

    A visit holds 3.44 events in the mean, geometrically: nine of ten hold fewer than 8, as in
    REES46 (`workload.EVENTS_A_VISIT`).
    """
    rng = np.random.default_rng(seed)
    crowd = bundle.crowd(purchase_sessions(load_shop().history))
    known = known_events(crowd, bundle.manifest.max_length)
    starts = np.cumsum(known.counts) - known.counts
    asking = np.flatnonzero(known.counts)
    visits = []
    for place in range(count):
        shopper = asking[place % asking.size]
        held = int(known.counts[shopper])
        length = int(min(rng.geometric(1 / EVENTS_A_VISIT), held))
        end = starts[shopper] + int(rng.integers(length, held + 1))
        events = slice(end - length, end)
        gaps = known.gaps[events].astype(np.int64)
        gaps[0] = 0
        visits.append(
            Visit(known.items[events].astype(np.int64), known.types[events].astype(np.int64), gaps)
        )
    return visits


def write_visits(visits: list[Visit], path: Path) -> None:
    """For another process."""
    columns = zip(*visits, strict=True)
    parts = {n: np.concatenate(column) for n, column in zip(Visit._fields, columns, strict=True)}
    np.savez(path, allow_pickle=False, lengths=[len(v.item_ids) for v in visits], **parts)


def read_visits(path: Path) -> list[Visit]:
    """What `write_visits` wrote."""
    with np.load(path, allow_pickle=False) as file:
        ends = np.cumsum(file["lengths"])[:-1]
        columns = [np.split(file[name], ends) for name in Visit._fields]
    return [Visit(*row) for row in zip(*columns, strict=True)]
