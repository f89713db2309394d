"""Whom each campaign addresses: the most profit that budgets, consent and caps allow.

A mixed-integer programme, solved to optimality by HiGHS through scipy.optimize.milp.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, vstack

from endcap.errors import DataError
from endcap.experiments import place_of
from endcap.marketing.definition import CampaignFile

_GAP = 1e-4
"""The assignment found earns at least 99.99 % of the best."""
_TIME_LIMIT_S = 120.0


class Candidate(msgspec.Struct, frozen=True):
    """Somebody who might be addressed by a campaign. `uplift`: expected further spend; `consent`:
    to be written to; `contacts`: within the last `rest_days`; `segment`: what a result is told
    apart by, as it is before the campaign."""

    user_id: Annotated[str, msgspec.Meta(min_length=1)]
    campaign: str
    uplift: float
    consent: bool
    contacts: Annotated[int, msgspec.Meta(ge=0)]
    segment: str = ""


class Contact(msgspec.Struct, frozen=True):
    """Somebody who was chosen. `is_held_out`: left alone, by lot, to be compared with; `holdout`:
    the lot's share."""

    campaign: str
    user_id: str
    is_held_out: bool
    expected_uplift: float
    cost: float
    segment: str = ""
    holdout: float | None = None


class Assigned(NamedTuple):
    """`left_out`: how many candidates of all, by why; the first reason counts."""

    contacts: tuple[Contact, ...]
    left_out: dict[str, int]
    spent: dict[str, float]


def assign(file: CampaignFile, candidates: Sequence[Candidate]) -> Assigned:
    """Choose contacts.

    Nobody without consent, nobody beyond their cap, nobody whose expected profit does not pay the
    contact; budgets and contact limits hold also with everybody of the holdout addressed.

    Raises:
        DataError: a candidate is named twice for a campaign, or for one that is not in the file;
            or no assignment was found in time.
    """
    _check(file, candidates)
    plans = {each.name: each for each in file.campaigns}
    left_out = {"no_consent": 0, "contacted_enough": 0, "would_not_pay": 0, "no_budget_or_cap": 0}
    kept: list[Candidate] = []
    profits: list[float] = []
    for each in candidates:
        plan = plans[each.campaign]
        profit = each.uplift * plan.margin - plan.cost
        if not each.consent:
            left_out["no_consent"] += 1
        elif each.contacts >= file.per_shopper:
            left_out["contacted_enough"] += 1
        elif not profit > 0:
            left_out["would_not_pay"] += 1
        else:
            kept.append(each)
            profits.append(profit)
    chosen = _solve(file, kept, profits) if kept else np.zeros(0, bool)
    left_out["no_budget_or_cap"] = int(len(kept) - chosen.sum())
    contacts = tuple(
        Contact(
            each.campaign,
            each.user_id,
            place_of(each.user_id, f"campaign {each.campaign}") < plans[each.campaign].holdout,
            round(each.uplift, 4),
            plans[each.campaign].cost,
            each.segment,
            plans[each.campaign].holdout,
        )
        for each, is_chosen in zip(kept, chosen, strict=True)
        if is_chosen
    )
    spent = {
        name: round(
            sum(each.cost for each in contacts if each.campaign == name and not each.is_held_out), 2
        )
        for name in plans
    }
    return Assigned(contacts, left_out, spent)


def _check(file: CampaignFile, candidates: Sequence[Candidate]) -> None:
    if not candidates:
        raise DataError("There are no candidates. Make them by: endcap campaign score")
    names = {each.name for each in file.campaigns}
    seen = set[tuple[str, str]]()
    for each in candidates:
        if each.campaign not in names:
            raise DataError(
                f"A candidate is of the campaign {each.campaign!r}, and the file has "
                f"{', '.join(sorted(names))}."
            )
        if not np.isfinite(each.uplift):
            raise DataError(f"An uplift for {each.campaign} is {each.uplift}; write a number.")
        if (each.user_id, each.campaign) in seen:
            raise DataError(f"A shopper stands twice for {each.campaign}; keep one line each.")
        seen.add((each.user_id, each.campaign))


def _solve(
    file: CampaignFile, kept: Sequence[Candidate], profits: Sequence[float]
) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    users = {user_id: row for row, user_id in enumerate({each.user_id for each in kept})}
    user = np.array([users[each.user_id] for each in kept])
    room = np.zeros(len(users))
    for each, row in zip(kept, user, strict=True):
        room[row] = file.per_shopper - each.contacts
    size = len(kept)
    ones, columns = np.ones(size), np.arange(size)
    matrices = [coo_array((ones, (user, columns)), shape=(len(users), size))]
    bounds: list[float] = room.tolist()
    costs = np.zeros(size)
    for plan in file.campaigns:
        mine = np.array([float(each.campaign == plan.name) for each in kept])
        costs += mine * plan.cost
        matrices.append(coo_array(mine[None, :] * plan.cost))
        bounds.append(plan.budget)
        if plan.contacts is not None:
            matrices.append(coo_array(mine[None, :]))
            bounds.append(plan.contacts)
    if file.budget is not None:
        matrices.append(coo_array(costs[None, :]))
        bounds.append(file.budget)
    found = milp(
        -np.array(profits),
        integrality=ones,
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(vstack(matrices, format="csr"), -np.inf, np.array(bounds)),
        options={"mip_rel_gap": _GAP, "time_limit": _TIME_LIMIT_S},
    )
    if found.x is None:
        raise DataError(f"No assignment was found within {_TIME_LIMIT_S:.0f} s: {found.message}")
    return np.asarray(found.x > 0.5)
