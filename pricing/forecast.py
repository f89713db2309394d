"""Units by item and week: boosted trees, monotone in the features that tell how dear a plan is.

Other features move with a price as well (what was sold at such a price before), so the whole is not
strictly monotone. The answer to a price is taken from elasticities; the level is taken from here.
A forecast is trained for one horizon, on each past week as it was seen `horizon` weeks before.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from endcap.errors import DataError
from endcap.pricing.features import MIN_HISTORY, NAMES, PRICE_FEATURES, features, level
from endcap.pricing.panel import Array, Panel, Plan

SEED = 0
TREES = 120
BINS = 127
TRAINING_WEEKS = 26
"""The newest half year: as many rows as it takes, and of the season that is."""


@dataclass(frozen=True)
class Forecaster:
    """What `fit` has learned. `vectors`: fixed columns by item, (I, k); `weekly`: columns by item
    and week, (I, W, m), each week's as it was known `horizon` weeks before. k and m may be 0."""

    horizon: int
    mean: HistGradientBoostingRegressor
    median: HistGradientBoostingRegressor | None
    vectors: Array
    weekly: Array

    def expected(self, history: Panel, plan: Plan) -> Array:
        """Mean units of the week `horizon` weeks after the history, by item: (I,)."""
        return np.asarray(self.mean.predict(self._rows(history, plan)) * level(history))

    def middle(self, history: Panel, plan: Plan) -> Array:
        """Median units of that week: what is least far off in absolute terms.

        Raises:
            ValueError: it was fitted without.
        """
        if self.median is None:
            raise ValueError("This forecaster was fitted without a median.")
        found = self.median.predict(self._rows(history, plan)) * level(history)
        return np.asarray(np.maximum(found, 0))

    def _rows(self, history: Panel, plan: Plan) -> Array:
        place = history.units.shape[1] - 1 + self.horizon
        more = self.weekly[:, place] if self.weekly.shape[2] else self.weekly[:, 0]
        return np.hstack([features(history, plan), self.vectors, more])


class Training:
    """Rows of past weeks for one horizon; each origin takes those that it could know.

    A row's features come from the weeks until `horizon` before it, and from its own plan.
    """

    def __init__(
        self,
        panel: Panel,
        horizon: int,
        vectors: Array | None = None,
        weekly: Array | None = None,
    ) -> None:
        self._horizon = horizon
        items, weeks = panel.units.shape
        self._vectors = np.zeros((items, 0)) if vectors is None else vectors
        self._weekly = np.zeros((items, weeks, 0)) if weekly is None else weekly
        self._first = MIN_HISTORY + horizon - 1
        if weeks <= self._first:
            raise DataError(
                f"A forecast {horizon} weeks ahead needs {self._first + 1} weeks of sales; "
                f"the panel has {weeks}."
            )
        self._x: list[Array] = []
        self._y: list[Array] = []
        self._level: list[Array] = []
        for place in range(self._first, weeks):
            history = panel.first_weeks(place - horizon + 1)
            known = features(history, panel.plan(place, history))
            self._x.append(np.hstack([known, self._vectors, self._weekly[:, place]]))
            self._y.append(panel.units[:, place])
            self._level.append(level(history))

    def fit(self, weeks: int, with_median: bool = False) -> Forecaster:
        """Learn from the last `TRAINING_WEEKS` of the first `weeks` weeks alone.

        Poisson deviance of units with the level as exposure, monotone in price: a ratio weighted
        by its level has the same gradient. `with_median`: absolute errors as well, of the same
        ratios with the same weights.
        """
        number = weeks - self._first
        if number < 1:
            raise DataError(
                f"{weeks} weeks are too few to learn from; {self._first + 1} are needed."
            )
        taken = slice(max(0, number - TRAINING_WEEKS), number)
        x = np.vstack(self._x[taken])
        usual = np.concatenate(self._level[taken])
        ratio = np.concatenate(self._y[taken]) / usual
        width = self._vectors.shape[1] + self._weekly.shape[2]
        mean = _trees("poisson", len(x), width).fit(x, ratio, sample_weight=usual)
        median = None
        if with_median:
            median = _trees("absolute_error", len(x), width).fit(x, ratio, sample_weight=usual)
        return Forecaster(self._horizon, mean, median, self._vectors, self._weekly)


def fit(panel: Panel, horizon: int, vectors: Array | None = None) -> Forecaster:
    """A forecaster of all that the panel knows.

    Raises:
        DataError: too few weeks.
    """
    return Training(panel, horizon, vectors).fit(panel.units.shape[1])


def _trees(loss: str, rows: int, more: int) -> HistGradientBoostingRegressor:
    signs = [-1 if name in PRICE_FEATURES else 0 for name in NAMES]
    return HistGradientBoostingRegressor(
        loss=loss,
        learning_rate=0.09,
        max_iter=TREES,
        max_leaf_nodes=15,
        min_samples_leaf=min(200, max(5, rows // 100)),
        l2_regularization=5.0,
        max_bins=BINS,
        monotonic_cst=signs + [0] * more,
        early_stopping=False,
        random_state=SEED,
    )
