"""Warnings: what a person should look at before a model goes to shoppers."""

from collections.abc import Mapping, Sequence

from endcap.export.measures.accuracy import K
from endcap.export.measures.groups import Gap

SERVED_WORSE = 0.8
"""A group is served worse where it gets less than this share of what its counterpart gets: the
four-fifths rule (US EEOC, Uniform Guidelines 1978, section 4D), and the interval leaves 0 out."""
POPULAR_EXCESS = 0.15
"""The most popular tenth may take this much more of the slates than of the targets."""
LOWEST_COVERAGE = 0.1
"""Of the catalogue; below, nine of ten items are never shown to anybody."""
HIGHEST_GINI = 0.95
"""Of exposure; above, a few items take nearly all of it."""
REPEAT_EXCESS = 0.2
"""Items already in the history may take this much more of the slates than of the targets."""
LEAST_DIVERSITY = 0.3
"""Mean distance on a slate; below, the items of a slate are much of a muchness."""
MOST_EMPTY = 0.01
"""Share of cases with nothing to show."""


def warnings_of(
    beyond: Mapping[str, float], gaps: Sequence[Gap], n_places: int, n_items: int
) -> tuple[str, ...]:
    """Sentences about what is past the bounds above; none where all is within them.

    `beyond`: of `beyond_accuracy`. Coverage and exposure are judged only where the `n_places` shown
    would be enough to show the `n_items` of the catalogue ten times over.
    """
    empty, coverage, concentration = beyond["empty_slates"], beyond["coverage"], beyond["gini"]
    popular, wanted = beyond["popular_shown"], beyond["popular_wanted"]
    repeats, wanted_again = beyond["repeats_shown"], beyond["repeats_wanted"]
    found: list[str] = []
    if empty > MOST_EMPTY:
        found.append(
            f"{_percent(empty, 1)} of the shoppers get nothing at all (bound:"
            f" {_percent(MOST_EMPTY)}). Give the ranker a fallback such as what is popular now."
        )
    found += [_of_gap(gap) for gap in gaps if _is_served_worse(gap)]
    if popular - wanted > POPULAR_EXCESS:
        found.append(
            "Popular items crowd the slates: the most popular tenth of the catalogue takes"
            f" {_percent(popular)} of the places, and is {_percent(wanted)} of what shoppers wanted"
            f" (bound: {_points(POPULAR_EXCESS)} more)."
        )
    enough = n_places >= 10 * n_items
    if enough and coverage < LOWEST_COVERAGE:
        found.append(
            f"Only {_percent(coverage, 1)} of the catalogue is ever shown (bound:"
            f" {_percent(LOWEST_COVERAGE)}). Items that are not shown cannot be bought."
        )
    if enough and concentration > HIGHEST_GINI:
        found.append(
            f"A few items take nearly all the places: a Gini coefficient of {concentration:.2f}"
            f" (bound: {HIGHEST_GINI})."
        )
    if repeats - wanted_again > REPEAT_EXCESS:
        found.append(
            f"{_percent(repeats)} of what is shown is in the shopper's history already; of what"
            f" they wanted, {_percent(wanted_again)} is (bound: {_points(REPEAT_EXCESS)} more)."
        )
    if beyond["diversity"] < LEAST_DIVERSITY:
        found.append(
            "The items of one slate are much alike: their mean distance is"
            f" {beyond['diversity']:.2f} (bound: {LEAST_DIVERSITY})."
        )
    return tuple(found)


def _is_served_worse(gap: Gap) -> bool:
    return gap.low > 0 and gap.worse_gets < SERVED_WORSE * gap.better_gets


def _of_gap(gap: Gap) -> str:
    share = gap.worse_gets / gap.better_gets
    return (
        f"Shoppers of the group “{gap.worse}” are served worse than “{gap.better}”: NDCG@{K} of"
        f" {gap.worse_gets:.3f} against {gap.better_gets:.3f}, {_percent(share)} of it (bound:"
        f" {_percent(SERVED_WORSE)}; with 95 % confidence the gap is {gap.low:.3f} to"
        f" {gap.high:.3f})."
    )


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _points(share: float) -> str:
    return f"{100 * share:.0f} percentage points"
