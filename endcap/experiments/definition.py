"""What an experiment is: who gets which lists, from when to when, and what is compared."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

HOLDOUT = "holdout"
"""The name of the variant whose shoppers get what trends, whatever is tried on the others."""
CURRENT = "current"
MAX_NAME = 30
"""In characters: what a list and each of its impressions carry must stay short."""

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=MAX_NAME)]
Share = Annotated[float, Meta(ge=0, le=1)]
Place = Annotated[int, Meta(ge=1, le=20)]


class Explore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Chance on a few places: with probability `epsilon` a list has other items at `places` (from
    1, the top), each item of its tail as likely as the others."""

    epsilon: Share
    places: Annotated[tuple[Place, ...], Meta(min_length=1, max_length=5)]


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a `share` of all shoppers gets.

    `model`: `current`, `previous` or `shadow` of the models file, or a bundle's folder. `policy`:
    options of the slate by their names. What is left out is as it is for everybody.
    """

    name: Name
    share: Share
    model: Annotated[str, Meta(min_length=1)] = CURRENT
    policy: dict[str, float] = {}
    explore: Explore | None = None


class Experiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Variants for shares of the shoppers, between two times (ISO 8601; UTC unless they say so).

    Shares are of all shoppers: who is in none gets what everybody gets and is not counted.
    `control`: what the others are compared with; the first variant unless said, and the holdout
    where there is one variant alone.
    """

    name: Name
    start: str
    end: str
    variants: Annotated[tuple[Variant, ...], Meta(min_length=1, max_length=10)]
    unit: Literal["user"] = "user"
    holdout: Share = 0.0
    control: str = ""

    @property
    def shares(self) -> dict[str, float]:
        """By variant; of the holdout where there is one."""
        held = {HOLDOUT: self.holdout} if self.holdout else {}
        return {variant.name: variant.share for variant in self.variants} | held

    @property
    def compared_with(self) -> str:
        """The name of the control."""
        if self.control:
            return self.control
        return HOLDOUT if len(self.variants) == 1 else self.variants[0].name

    @property
    def start_ms(self) -> int:
        """Unix milliseconds; the first one in which it runs."""
        return time_ms(self.start)

    @property
    def end_ms(self) -> int:
        """Unix milliseconds; the first one in which it runs no more."""
        return time_ms(self.end)

    def state(self, now_ms: int) -> Literal["planned", "running", "ended"]:
        """At a time in Unix milliseconds."""
        if now_ms < self.start_ms:
            return "planned"
        return "running" if now_ms < self.end_ms else "ended"


class Experiments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """All of a shop. `explore` holds for every list whose variant says nothing of it."""

    experiments: tuple[Experiment, ...] = ()
    explore: Explore | None = None

    def running(self, now_ms: int) -> tuple[Experiment, ...]:
        """Those that run at a time in Unix milliseconds."""
        return tuple(each for each in self.experiments if each.state(now_ms) == "running")


NO_EXPERIMENTS = Experiments()


class Refusal(NamedTuple):
    """`path`: the keys and places that lead to what is wrong."""

    path: tuple[str | int, ...]
    says: str


def refusals(shop: Experiments, policy_options: Mapping[str, type]) -> Iterator[Refusal]:
    """What is well formed and yet makes no sense. `policy_options`: by name, the type of each."""
    if shop.explore is not None:
        yield from _of_places(shop.explore, ("explore",))
    names = set[str]()
    for place, each in enumerate(shop.experiments):
        path = ("experiments", place)
        if each.name in names:
            yield Refusal((*path, "name"), f"two experiments are called {each.name}")
        names.add(each.name)
        yield from _of_times(each, path)
        yield from _of_shares(each, path)
        for at, variant in enumerate(each.variants):
            where = (*path, "variants", at)
            yield from _of_policy(variant, where, policy_options)
            if variant.explore is not None:
                yield from _of_places(variant.explore, (*where, "explore"))
    yield from _of_overlaps(shop.experiments)


def time_ms(text: str) -> int:
    """Unix milliseconds of a time in ISO 8601; UTC where it names no zone.

    Raises:
        ValueError: it is none.

    >>> time_ms("2026-11-24"), time_ms("2026-11-24T01:00+01:00")
    (1795478400000, 1795478400000)
    """
    when = datetime.fromisoformat(text)
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


_Path = tuple[str | int, ...]
_LEAST = {"size": 1, "per_category": 1}
_MOST = {"size": 20}
"""Of options of the slate, where not 0 and no bound: a list is never empty, and has 20 at most."""


def _of_times(each: Experiment, path: _Path) -> Iterator[Refusal]:
    for name in ("start", "end"):
        text = getattr(each, name)
        try:
            time_ms(text)
        except (ValueError, OverflowError):
            says = f"{text!r} is no time; write it as 2026-11-24 or 2026-11-24T06:00"
            yield Refusal((*path, name), says)
            return
    if each.end_ms <= each.start_ms:
        yield Refusal((*path, "end"), f"{each.end} is not after the start, {each.start}")


def _of_shares(each: Experiment, path: _Path) -> Iterator[Refusal]:
    names = [variant.name for variant in each.variants]
    for at, name in enumerate(names):
        where = (*path, "variants", at, "name")
        if name == HOLDOUT:
            yield Refusal(where, f"{HOLDOUT} is no name for a variant: give `{HOLDOUT}: SHARE`")
        if name in names[:at]:
            yield Refusal(where, f"two variants are called {name}")
    whole = sum(each.shares.values())
    if whole > 1 + 1e-9:
        says = f"the shares come to {whole:g}, and there is no more than 1"
        yield Refusal((*path, "variants"), says)
    if len(each.shares) < 2:
        says = "one variant alone is compared with nothing: add another, or a holdout"
        yield Refusal((*path, "variants"), says)
    elif each.compared_with not in each.shares:
        says = f"{each.compared_with} is none of its variants: {', '.join(each.shares)}"
        yield Refusal((*path, "control"), says)
    elif not each.shares[each.compared_with]:
        yield Refusal((*path, "variants"), f"nobody is in the control, {each.compared_with}")


def _of_policy(variant: Variant, path: _Path, options: Mapping[str, type]) -> Iterator[Refusal]:
    for name, value in variant.policy.items():
        where = (*path, "policy", name)
        if name not in options:
            yield Refusal(where, f"{name} is no option of the slate: {', '.join(options)}")
        elif not _LEAST.get(name, 0) <= value <= _MOST.get(name, value) or (
            options[name] is int and not float(value).is_integer()
        ):
            kind = "whole number" if options[name] is int else "number"
            least, most = _LEAST.get(name, 0), _MOST.get(name)
            bounds = f"{least} or more" if most is None else f"{least} to {most}"
            yield Refusal(where, f"{name} is {value:g}, and must be a {kind} of {bounds}")


def _of_places(explore: Explore, path: _Path) -> Iterator[Refusal]:
    if len(set(explore.places)) < len(explore.places):
        yield Refusal((*path, "places"), "a place is named twice")


def _of_overlaps(experiments: Sequence[Experiment]) -> Iterator[Refusal]:
    """Two experiments at one time may not set the same: one of them would not get its share."""
    timed = [each for each in experiments if _has_times(each)]
    for place, each in enumerate(experiments):
        for other in experiments[:place]:
            if each not in timed or other not in timed or not _overlap(each, other):
                continue
            both = sorted(_what_is_set(each) & _what_is_set(other))
            if both:
                says = (
                    f"{each.name} and {other.name} both set {', '.join(both)}, and run at one "
                    "time: let one end before the other starts, or make them one experiment"
                )
                yield Refusal(("experiments", place), says)


def _has_times(each: Experiment) -> bool:
    return not any(_of_times(each, ()))


def _overlap(one: Experiment, other: Experiment) -> bool:
    return one.start_ms < other.end_ms and other.start_ms < one.end_ms


def _what_is_set(each: Experiment) -> set[str]:
    found = set[str]()
    for variant in each.variants:
        if variant.model != CURRENT:
            found.add("model")
        if variant.explore is not None:
            found.add("explore")
        found |= {f"policy.{name}" for name in variant.policy}
    return found
