"""Who would have been addressed, and what each would have spent either way: estimates that never
saw the household that they are made for."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import GroupKFold

from endcap.errors import DataError
from endcap.marketing.arrays import Floats

FOLDS = 5
OVERLAP = (0.02, 0.98)
"""Outside, next to nobody alike was treated otherwise: nothing can be said (Crump et al., 2009)."""


class Nuisances(NamedTuple):
    """`propensity` [N]: chance of being addressed; `mu0`, `mu1` [N]: outcome when left alone, when
    addressed."""

    propensity: Floats
    mu0: Floats
    mu1: Floats

    @property
    def overlapping(self) -> NDArray[np.bool_]:
        """Rows about which something can be said."""
        low, high = OVERLAP
        return np.asarray((self.propensity >= low) & (self.propensity <= high))


def regressor() -> HistGradientBoostingRegressor:
    """For outcomes: small trees, stopped early by nothing, because few are addressed."""
    return HistGradientBoostingRegressor(
        max_iter=120, learning_rate=0.06, max_leaf_nodes=12, min_samples_leaf=40, random_state=0
    )


def classifier() -> HistGradientBoostingClassifier:
    """For the chance of being addressed."""
    return HistGradientBoostingClassifier(
        max_iter=120, learning_rate=0.06, max_leaf_nodes=12, min_samples_leaf=40, random_state=0
    )


def cross_fitted(
    x: Floats,
    addressed: NDArray[np.int8],
    outcome: Floats,
    household: NDArray[np.int64],
    make_regressor: Callable[[], Any] = regressor,
) -> Nuisances:
    """Each row's by models of the other folds' households (Chernozhukov et al., 2018).

    Raises:
        DataError: fewer than 2 * FOLDS were addressed, or were not.
    """
    if min(addressed.sum(), (addressed == 0).sum()) < 2 * FOLDS:
        raise DataError(
            "Too few shoppers were addressed, or left alone, to compare them: at least "
            f"{2 * FOLDS} of each are needed."
        )
    found = Nuisances(*(np.zeros(len(x)) for _ in Nuisances._fields))
    for train, test in GroupKFold(FOLDS, shuffle=True, random_state=0).split(x, groups=household):
        chance = classifier().fit(x[train], addressed[train])
        found.propensity[test] = chance.predict_proba(x[test])[:, 1]
        for mu, arm in ((found.mu0, 0), (found.mu1, 1)):
            rows = train[addressed[train] == arm]
            mu[test] = make_regressor().fit(x[rows], outcome[rows]).predict(x[test])
    return found


def doubly_robust(found: Nuisances, addressed: NDArray[np.int8], outcome: Floats) -> Floats:
    """A score for each row whose mean over any group is the group's average effect, if either the
    chances or the outcomes are estimated well (AIPW; Robins, Rotnitzky & Zhao, 1994).

    Chances are clipped to `OVERLAP`; which rows to believe is the caller's to choose.
    """
    e = np.clip(found.propensity, *OVERLAP)
    left = (outcome - found.mu0) * (1 - addressed) / (1 - e)
    sent = (outcome - found.mu1) * addressed / e
    return np.asarray(found.mu1 - found.mu0 + sent - left)
