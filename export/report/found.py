"""What an evaluation found: the JSON of a report. The page shows this and nothing else.

The first level keeps the keys that `endcap evaluate --json` promises: `protocol`, `metrics`,
`opponents` (the same measures by name), `seconds_to_train`, `users_per_s`.
"""

import msgspec

OURS = "endcap"


class Published(msgspec.Struct, frozen=True):
    """Figures of a paper, shares between 0 and 1, and where they stand. Shown, never used."""

    ranker: str
    metrics: dict[str, float]
    source: str


class Epoch(msgspec.Struct, frozen=True):
    """One pass over the training data. `validation`: measures after it, where any were taken."""

    number: int
    loss: float
    validation: dict[str, float] = {}


class Idea(msgspec.Struct, frozen=True):
    """Something that was tried, and one measure without and with it."""

    name: str
    measure: str
    without: float
    with_it: float
    note: str = ""


class Feedback(msgspec.Struct, frozen=True):
    """What a ranker would have got from shoppers who saw another's lists, in rewards a list.

    `estimates`: (value, low, high) by method. See `measures.feedback`.
    """

    ranker: str
    reward: str
    weighting: str
    estimates: dict[str, tuple[float, float, float]]
    effective: float
    support: float
    n_lists: int
    n_shoppers: int


class Gain(msgspec.Struct, frozen=True):
    """How far endcap is above a ranker on the same cases: `value` with 95 % bounds.

    `relative`: as a share of what the ranker has; None where it has nothing. `better`, `worse`:
    shares of the cases.
    """

    over: str
    measure: str
    value: float
    low: float
    high: float
    relative: float | None
    better: float
    worse: float

    @property
    def is_certain(self) -> bool:
        """Whether chance alone is an unlikely reason."""
        return self.low > 0 or self.high < 0


class GroupFound(msgspec.Struct, frozen=True):
    """How endcap serves some of the shoppers; `metrics`: (value, low, high) by measure."""

    name: str
    means: str
    n_cases: int
    n_shoppers: int
    metrics: dict[str, tuple[float, float, float]]


class GapFound(msgspec.Struct, frozen=True):
    """Two groups, and how much better one is served, by NDCG@10 with 95 % bounds."""

    worse: str
    better: str
    worse_gets: float
    better_gets: float
    low: float
    high: float


class HistoryBand(msgspec.Struct, frozen=True):
    """Cases with so many events before: the deciding measure (value, low, high) of each ranker."""

    name: str
    n_cases: int
    rankers: dict[str, tuple[float, float, float]]


class PopularityBand(msgspec.Struct, frozen=True):
    """Items of like popularity: their share of training events, of targets, of each slate."""

    n_items: int
    trained: float
    wanted: float
    shown: dict[str, float]


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a run knows of itself. `facts`: of the data; `sizes`: of the parts of the split.

    `seconds_to_train` is 0 where a ready bundle was evaluated. `importance`: of each input of the
    blend, in any unit. `published` only where the user named the set.
    """

    data: str
    protocol: str
    command: str
    machine: str
    created_at: str
    seconds_to_train: float
    users_per_s: float
    facts: dict[str, str] = {}
    sizes: dict[str, int] = {}
    published: tuple[Published, ...] = ()
    training: tuple[Epoch, ...] = ()
    importance: dict[str, float] = {}
    ideas: tuple[Idea, ...] = ()
    feedback: tuple[Feedback, ...] = ()


class Found(About, frozen=True, kw_only=True):
    """And what was measured. `intervals`: 95 % bounds (low, high) by ranker and measure."""

    n_cases: int
    n_shoppers: int
    n_items: int
    metrics: dict[str, float]
    opponents: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, tuple[float, float]]]
    gains: tuple[Gain, ...]
    groups: tuple[GroupFound, ...]
    gaps: tuple[GapFound, ...]
    history: tuple[HistoryBand, ...]
    popularity: tuple[PopularityBand, ...]
    warnings: tuple[str, ...]

    def rankers(self) -> dict[str, dict[str, float]]:
        """Measures by name, endcap first."""
        return {OURS: self.metrics} | self.opponents
