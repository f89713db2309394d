"""Each shopper's list by their variant: another model, another slate, chance, or what trends."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from endcap.experiments import (
    HOLDOUT,
    NO_EXPERIMENTS,
    Experiment,
    Experiments,
    Explore,
    explored,
    spell,
    variant_of,
)
from endcap.lists import RecommendationList, list_version
from endcap.policy import Policy
from endcap.serving import metrics
from endcap.serving.model_slot import Model
from endcap.sessions import Session

log = logging.getLogger(__name__)

Lists = dict[str, RecommendationList]
MadeBy = Callable[[Sequence[Session], Model, Policy], Lists]
"""Lists of some sessions by one model and one policy."""


class Running(NamedTuple):
    """The experiments of the shop, and by the name that a variant gives it, each model but the
    current one, ready to score."""

    shop: Experiments = NO_EXPERIMENTS
    models: Mapping[str, Model] = {}


class Treatment(NamedTuple):
    """What shoppers get. `model` None: the current one."""

    is_held_out: bool
    model: Model | None
    policy: Policy
    explore: Explore | None


class VariantSlot:
    """Whoever makes lists takes what runs once for each batch; replacing it is one assignment, from
    any thread."""

    def __init__(self, running: Running | None = None, generation: int = 1) -> None:
        self._running = running or Running()
        self._generation = generation
        self._trending: RecommendationList | None = None

    @property
    def running(self) -> Running:
        """What the next batch is made by."""
        return self._running

    def replace(self, running: Running) -> None:
        """From the next batch on these hold."""
        self._running = running

    def keep_trending(self, ready: RecommendationList | None) -> None:
        """What shoppers of a holdout get, from the next batch on."""
        self._trending = ready

    def lists(
        self, sessions: Sequence[Session], model: Model, policy: Policy, made_by: MadeBy
    ) -> Lists:
        """A list for each session. Without an experiment that runs it is `made_by` alone.

        A variant whose list cannot be made (its model fails; nothing trends yet) has lists of
        `model` that name no variant, and so counts nowhere.
        """
        running = self._running
        experiments = running.shop.running(int(time.time() * 1000))
        metrics.EXPERIMENTS.set(len(experiments))
        if not experiments and running.shop.explore is None:
            return made_by(sessions, model, policy)
        plans: dict[str, _Plan] = {}
        groups: dict[tuple[bool, int, Policy], list[tuple[Session, _Plan]]] = {}
        for session in sessions:
            chosen = chosen_of(experiments, session.user_id)
            spelled = spell((each.name, name) for each, name in chosen)
            plan = plans.get(spelled)
            if plan is None:
                treatment = treatment_of(chosen, running, policy)
                plan = plans[spelled] = _Plan(spelled, chosen, treatment)
            # Shoppers of different variants that are scored alike are scored together.
            of = plan.treatment
            alike = (of.is_held_out, id(of.model), of.policy)
            groups.setdefault(alike, []).append((session, plan))
        made: Lists = {}
        for group in groups.values():
            some = [session for session, _ in group]
            ready = self._made(some, group[0][1].treatment, model, made_by)
            if ready is None:
                ready = made_by(some, model, policy)
                for _, plan in group:
                    metrics.VARIANT_FAILURES.labels(plan.spelled).inc()
                made |= ready
                continue
            for session, plan in group:
                made[session.user_id] = _finished(ready[session.user_id], plan, session.user_id)
        return made

    def _made(
        self, sessions: Sequence[Session], treatment: Treatment, current: Model, made_by: MadeBy
    ) -> Lists | None:
        """Before chance; None where they cannot be made."""
        if treatment.is_held_out:
            if self._trending is None:
                return None
            return _held_out(sessions, self._trending, treatment.policy.size, self._generation)
        model = treatment.model or current
        made: Lists = {}
        try:
            for at in range(0, len(sessions), model.max_batch):
                made |= made_by(sessions[at : at + model.max_batch], model, treatment.policy)
        except Exception:
            if treatment.model is None:
                raise
            log.exception(
                "%s cannot make the lists of a variant: its shoppers get those of the current "
                "model and are not counted. End the experiment, or name another model in its file.",
                model.bundle.manifest.name,
            )
            return None
        return made


def chosen_of(experiments: Sequence[Experiment], user_id: str) -> "Chosen":
    """The experiments that a shopper is in, and the variant in each. Of who is held out in one the
    others say nothing: their lists would not be those."""
    found = [
        (each, name) for each in experiments if (name := variant_of(each, user_id)) is not None
    ]
    held = [(each, name) for each, name in found if name == HOLDOUT]
    return held or found


def treatment_of(chosen: "Chosen", running: Running, policy: Policy) -> Treatment:
    """What a shopper of these variants gets. Variants that run at one time set different things;
    a holdout goes before them all."""
    if any(name == HOLDOUT for _, name in chosen):
        return Treatment(True, None, policy, None)
    model, explore = None, running.shop.explore
    for experiment, name in chosen:
        variant = next(each for each in experiment.variants if each.name == name)
        model = running.models.get(variant.model, model)
        policy = with_options(policy, variant.policy)
        explore = variant.explore or explore
    return Treatment(False, model, policy, explore)


def with_options(policy: Policy, options: Mapping[str, float]) -> Policy:
    """The policy with some of its numbers replaced, each in its own type."""
    now = policy._asdict()
    return policy._replace(**{name: type(now[name])(value) for name, value in options.items()})


Chosen = Sequence[tuple[Experiment, str]]
"""Experiments that a shopper is in, and the variant in each."""


class _Plan(NamedTuple):
    spelled: str
    chosen: Chosen
    treatment: Treatment


def _finished(ready: RecommendationList, plan: _Plan, user_id: str) -> RecommendationList:
    """With its chance taken, and its variants named."""
    for experiment, variant in plan.chosen:
        metrics.VARIANT_LISTS.labels(experiment.name, variant).inc()
    if plan.treatment.explore is not None:
        ready = explored(ready, plan.treatment.explore, user_id)
    return replace(ready, variant=plan.spelled)


def _held_out(
    sessions: Sequence[Session], trending: RecommendationList, size: int, generation: int
) -> Lists:
    """What trends, with the version and the time that a list of their own would have."""
    now_ms = int(time.time() * 1000)
    return {
        session.user_id: replace(
            trending,
            version=list_version(generation, session.events_folded),
            generated_at=now_ms,
            items=trending.items[:size],
        )
        for session in sessions
    }
