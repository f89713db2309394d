"""Requests of the catalogue benchmark: real shoppers' events, in visits of a real length."""

from pathlib import Path

import numpy as np

from endcap.bundle import Bundle
from endcap.deploy.bench.workload import EVENTS_A_VISIT
from endcap.deploy.replay import load_shop, purchase_sessions
from endcap.serving.query_encoder import Visit, visit_of


def made_visits(bundle: Bundle, count: int, seed: int = 1) -> list[Visit]:
    """Complete Journey's shoppers in turn, each at a random moment of their history.

    A visit holds 3.44 events in the mean, geometrically: nine of ten hold fewer than 8, as in
    REES46 (`workload.EVENTS_A_VISIT`).
    """
    rng = np.random.default_rng(seed)
    sessions = purchase_sessions(load_shop().history)
    shoppers = [bundle.shopper(session, session.updated_ms) for session in sessions]
    known = [int((shopper.history <= shopper.n_items).sum()) for shopper in shoppers]
    asking = [number for number, events in enumerate(known) if events]
    visits = []
    for place in range(count):
        number = asking[place % len(asking)]
        length = int(min(rng.geometric(1 / EVENTS_A_VISIT), known[number]))
        visits.append(
            visit_of(shoppers[number], int(rng.integers(length, known[number] + 1)), length)
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
