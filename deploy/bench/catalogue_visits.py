"""Requests of the catalogue benchmark: real shoppers' events, in visits of a real length."""

from pathlib import Path

import msgspec
import numpy as np

from endcap.bundle import Bundle
from endcap.deploy.bench.workload import EVENTS_A_VISIT
from endcap.deploy.replay import load_shop, purchase_sessions
from endcap.errors import BundleError
from endcap.scoring import StagedModel
from endcap.serving.stages import open_stages
from endcap.sessions import Session


def made_visits(bundle: Bundle, count: int, seed: int = 1) -> list[Session]:
    """Complete Journey's shoppers in turn, each at a random moment of their newest 50 events of
    items that the bundle's model has met.

    A visit holds 3.44 events in the mean, geometrically: nine of ten hold fewer than 8, as in
    REES46 (`workload.EVENTS_A_VISIT`).
    """
    rng = np.random.default_rng(seed)
    asking = [
        known
        for session in purchase_sessions(load_shop().history)
        if (known := tuple(past for past in session.history if past.item_id in bundle.met))
    ]
    visits = []
    for place in range(count):
        known = asking[place % len(asking)][-bundle.manifest.max_length :]
        length = int(min(rng.geometric(1 / EVENTS_A_VISIT), len(known)))
        end = int(rng.integers(length, len(known) + 1))
        seen = known[end - length : end]
        visits.append(Session(str(place), seen, updated_ms=seen[-1].timestamp_ms))
    return visits


def open_encoder(bundle: Bundle) -> StagedModel:
    """Visits to queries, on one thread.

    Raises:
        BundleError: the bundle has no stages.
    """
    if bundle.stages is None:
        raise BundleError(
            f"Bundle {bundle.manifest.name} has no encoder of its own: `endcap quantise` leaves it "
            "out. Name the bundle that it was made from."
        )
    return open_stages(bundle, bundle.stages, 1)


def write_visits(visits: list[Session], path: Path) -> None:
    """For another process."""
    path.write_bytes(msgspec.msgpack.encode(visits))


def read_visits(path: Path) -> list[Session]:
    """What `write_visits` wrote."""
    return msgspec.msgpack.decode(path.read_bytes(), type=list[Session])
