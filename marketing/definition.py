"""`campaigns.yaml`: which campaigns there are, what they may cost, and whom they may bother."""

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import msgspec

from endcap.counted import counted
from endcap.yaml_lines import FileMistakesError, Mistake, open_yaml

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,49}$")]
Money = Annotated[float, msgspec.Meta(ge=0)]


class CampaignPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One campaign. Money in the currency of the uplifts.

    `budget`: all contacts together; `cost`: of one; `contacts`: at most so many; `margin`: what is
    earned of a unit of further sales; `holdout`: the share of those chosen who are left alone, by
    lot, to measure what the campaign brings. `like`: a past campaign of the data with the same
    coupons, for `endcap campaign score`.
    """

    name: Name
    budget: Money
    cost: Money
    subject: str
    body: str
    contacts: Annotated[int, msgspec.Meta(ge=1)] | None = None
    margin: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.3
    holdout: Annotated[float, msgspec.Meta(ge=0, le=0.9)] = 0.1
    like: int | None = None


class CampaignFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`per_shopper`: contacts of one shopper in `rest_days`, earlier ones included, over all
    campaigns; `budget`: of all campaigns together, where it is less than theirs."""

    campaigns: tuple[CampaignPlan, ...]
    per_shopper: Annotated[int, msgspec.Meta(ge=1)] = 1
    rest_days: Annotated[int, msgspec.Meta(ge=1)] = 28
    budget: Money | None = None


class _Refusal(NamedTuple):
    path: tuple[str | int, ...]
    says: str


def parse_campaigns(text: str, name: str) -> CampaignFile:
    """What a file says; `name` is what the message calls it.

    Raises:
        FileMistakesError: every mistake with its line.
    """
    noted: list[Mistake] = []
    top = open_yaml(text, name, noted)
    found = None if top is None else top.as_type(CampaignFile)
    if top is not None and found is not None:
        for refusal in _refusals(found):
            top.wrong_at(refusal.path, refusal.says)
    if found is None and not noted:
        noted.append(Mistake(1, "there is no campaign; docs/campaigns.md has the form."))
    if noted or found is None:
        raise FileMistakesError(f"{name}: {counted(len(noted), 'mistake')}.", noted)
    return found


def _refusals(found: CampaignFile) -> Iterator[_Refusal]:
    if not found.campaigns:
        yield _Refusal(("campaigns",), "there is no campaign: name one, or delete the file.")
    names = set[str]()
    for place, each in enumerate(found.campaigns):
        path = ("campaigns", place)
        if each.name in names:
            yield _Refusal((*path, "name"), f"two campaigns are called {each.name}.")
        names.add(each.name)
        if each.budget < max(each.cost, 1e-9):
            yield _Refusal(
                (*path, "budget"),
                f"a budget of {each.budget:g} pays for nobody at a cost of {each.cost:g} each.",
            )
