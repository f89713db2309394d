"""What an experiment has found so far."""

from collections.abc import Mapping

import msgspec

from endcap.experiments.counting import Found, Shoppers
from endcap.experiments.definition import Experiment
from endcap.experiments.intervals import Rate, Uplift, rate_of, uplift_of
from endcap.experiments.sample_ratio import SampleRatio, sample_ratio

MEASURES = ("click_through", "conversion")
_FEW = 100
"""Shoppers with a click or a purchase: below, the normal distribution is a poor likeness."""


class VariantReport(msgspec.Struct, frozen=True):
    """`exposures`: lists shown, each once; `clicks`: of these, clicked on; `buyers`: shoppers with
    a purchase after their first exposure. `rates` and `uplifts` by measure: click-through is clicks
    an exposure, conversion buyers a shopper. An uplift is over the control, 0.05 for 5 %."""

    name: str
    share: float
    users: int
    expected_users: float
    exposures: int
    clicks: int
    buyers: int
    rates: dict[str, Rate | None]
    uplifts: dict[str, Uplift | None]


class Report(msgspec.Struct, frozen=True):
    """Everything that a person needs to decide. `as_of_ms`: when the topics were read."""

    experiment: str
    state: str
    start: str
    end: str
    as_of_ms: int
    control: str
    variants: tuple[VariantReport, ...]
    sample_ratio: SampleRatio
    left_out: dict[str, int]
    warnings: tuple[str, ...]


def report_of(experiment: Experiment, found: Found, now_ms: int) -> Report:
    """The control first, then the others in their order."""
    control = experiment.compared_with
    drawn = {name: share for name, share in experiment.shares.items() if share}
    names = [control, *(name for name in drawn if name != control)]
    numbers = [found.shoppers[name].number for name in names]
    ratio = sample_ratio(numbers, [drawn[name] for name in names])
    whole = sum(numbers) / sum(drawn.values())
    variants = tuple(
        _variant(name, drawn[name], whole, found.shoppers[name], found.shoppers[control], control)
        for name in names
    )
    return Report(
        experiment.name,
        experiment.state(now_ms),
        experiment.start,
        experiment.end,
        now_ms,
        control,
        variants,
        ratio,
        found.left_out,
        tuple(_warnings(experiment, variants, ratio, found, now_ms)),
    )


def encode_report(report: Report) -> bytes:
    """JSON, an object; a rate has `value`, `low` and `high`, an uplift its `p_value` too."""
    return msgspec.json.encode(_as_object(report))


def _as_object(value: object) -> object:
    """msgspec writes named tuples as arrays; names are what people read."""
    if isinstance(value, msgspec.Struct):
        return {name: _as_object(part) for name, part in msgspec.structs.asdict(value).items()}
    if isinstance(value, (Rate, Uplift)):
        return value._asdict()
    if isinstance(value, SampleRatio):
        return value._asdict() | {"is_sound": value.is_sound}
    if isinstance(value, Mapping):
        return {name: _as_object(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return [_as_object(part) for part in value]
    return value


def _variant(
    name: str, share: float, whole: float, ours: Shoppers, control: Shoppers, control_name: str
) -> VariantReport:
    counted = {"click_through": ours.shown, "conversion": ours.bought}
    against = {"click_through": control.shown, "conversion": control.bought}
    is_control = name == control_name
    return VariantReport(
        name,
        share,
        ours.number,
        round(whole * share, 1),
        int(ours.shown.chances.sum()),
        int(ours.shown.happened.sum()),
        int(ours.bought.happened.sum()),
        {measure: rate_of(counted[measure]) for measure in MEASURES},
        {}
        if is_control
        else {measure: uplift_of(counted[measure], against[measure]) for measure in MEASURES},
    )


def _warnings(
    experiment: Experiment,
    variants: tuple[VariantReport, ...],
    ratio: SampleRatio,
    found: Found,
    now_ms: int,
) -> list[str]:
    told = []
    if not ratio.is_sound:
        told.append(
            f"SAMPLE RATIO MISMATCH (chi-squared {ratio.chi_squared:.1f}, p {ratio.p_value:.1g}): "
            "the numbers of shoppers do not fit their shares. Something loses or doubles shoppers "
            "in one variant, or shares were changed under way. Do not believe the uplifts before "
            "it is found."
        )
    if experiment.state(now_ms) != "ended":
        told.append(
            f"It runs until {experiment.end}. The intervals hold for one look at the end: who "
            "stops at the first good day finds uplifts that are none."
        )
    if not found.is_whole:
        told.append(
            "Part of it is gone: the topics no longer hold all records since its start. Keep them "
            "for longer than an experiment runs (events_retention_days)."
        )
    mixed = found.left_out.get("shoppers_of_two_variants", 0)
    if mixed:
        told.append(
            f"{mixed:,} shoppers saw lists of two variants and are left out: shares were changed "
            "under way, or their id changed at a login."
        )
    for one in variants:
        least = min(one.clicks, one.buyers)
        if least < _FEW:
            told.append(
                f"{one.name} has {one.clicks:,} clicks and {one.buyers:,} buyers; with fewer than "
                f"{_FEW} of each the intervals are rough."
            )
    if len(variants) > 2:
        told.append(
            f"{len(variants) - 1} variants are compared with one control, each by itself: one of "
            "them may look good by chance more often than 1 time in 20."
        )
    return told
