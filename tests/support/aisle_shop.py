"""A small shop whose habits are known, and how to learn from it in seconds."""

from pathlib import Path

import numpy as np

from endcap.catalogue import CatalogueItem
from endcap.events import EventType
from endcap.export.blend import BlendOptions
from endcap.export.data.interactions import Cuts, DataSet, Interactions
from endcap.export.encoder import EncoderOptions
from endcap.export.fit_blend import BlendFit
from endcap.export.fit_encoder import FitOptions
from endcap.export.learn_options import LearnOptions

WEEK_MS = 7 * 86_400_000
N_ITEMS = 120
OPTIONS = LearnOptions(
    encoder=EncoderOptions(dim=16, layers=1, length=20),
    fit=FitOptions(epochs=3, positions=512, learning_rate=5e-3),
    blend=BlendOptions(width=16, own=20),
    blend_fit=BlendFit(epochs=3),
)


class Quiet:
    """Keeps what training says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.steps: dict[str, tuple[int, int]] = {}

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def advance(self, what: str, done: int, of: int) -> None:
        assert done <= of, (what, done, of)
        self.steps[what] = (done, of)


def shop(seed: int = 3, changed_from_week: int = 99) -> DataSet:
    """Twenty aisles of six items; everybody buys along one aisle, week after week.

    From `changed_from_week` on other things are bought.
    """
    rng = np.random.default_rng(seed)
    items, times, sessions, offsets = [], [], [], [0]
    for user in range(80):
        aisle = user % (N_ITEMS // 6)
        for week in range(1, 13):
            bought = aisle * 6 + (np.arange(3) + week) % 6 + 1
            basket = sorted({*bought.tolist(), int(rng.integers(1, N_ITEMS + 1))})
            if week >= changed_from_week:
                basket = [item % N_ITEMS + 1 for item in basket]
            items += basket
            times += [week * WEEK_MS + user * 1000] * len(basket)
            sessions += [user * 100 + week] * len(basket)
        offsets.append(len(items))
    events = Interactions(
        np.array(offsets, dtype=np.int64),
        np.array(items, dtype=np.int32),
        np.full(len(items), EventType.PURCHASE.code, dtype=np.int8),
        np.array(times, dtype=np.int64),
        np.array(sessions, dtype=np.int32),
    )
    catalogue = tuple(CatalogueItem(f"i{n}", f"Item {n}") for n in range(1, N_ITEMS + 1))
    names = tuple(f"u{user}" for user in range(80))
    cuts = Cuts(9 * WEEK_MS, 11 * WEEK_MS)
    return DataSet("small-shop", events, names, catalogue, {"source": "a test"}, cuts)


def write_events(data: DataSet, path: Path) -> None:
    """The shop as an events file."""
    events = data.interactions
    rows = ["user_id,item_id,event_type,timestamp"]
    for user in range(events.n_sequences):
        for place in range(events.offsets[user], events.offsets[user + 1]):
            seconds = 1_600_000_000 + int(events.times_ms[place]) // 1000
            rows.append(f"u{user},{data.items[events.items[place] - 1].item_id},purchase,{seconds}")
    path.write_text("\n".join(rows) + "\n")
