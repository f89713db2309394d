"""`endcap explain`: the whole path of one shopper's list."""

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from endcap.deploy.printed import Json, screen
from endcap.deploy.rules_cli import known_placements
from endcap.deploy.rules_words import unknown_placement
from endcap.deploy.settings import Settings, load_settings
from endcap.errors import EndcapError, SettingsError
from endcap.rules import DEFAULT_PLACEMENT, RuleSet

if TYPE_CHECKING:
    from endcap.serving.model_slot import Model
    from endcap.serving.variants import Treatment

_SHOWN_EVENTS = 10
_WIDE = 120
"""Columns of a terminal in which the sources have room, too."""


def explain(
    user_id: Annotated[str, typer.Argument(help="The user id.")],
    placement: Annotated[
        str, typer.Option(help="Whose rules hold; the lists in Redis are those of default.")
    ] = DEFAULT_PLACEMENT,
    left_out: Annotated[
        int, typer.Option(help="How many of the items not shown to print.", min=0)
    ] = 10,
    as_json: Json = False,
) -> None:
    """Why a shopper's list is as it is: session, variants, candidates with their sources, scores,
    what rules moved, the slate, and how it differs from what lies in Redis now. Nothing is changed.

    Example: endcap explain 1364

    Example: endcap explain 1364 --json | jq '.candidates[] | select(.why_not == "sold out").id'
    """
    settings = load_settings()
    found = asyncio.run(_explained(settings, settings.kept_id(user_id), placement))
    if as_json:
        print(json.dumps(found))
    else:
        _show(found, left_out)


async def _explained(settings: Settings, user_id: str, placement: str) -> dict[str, Any]:
    """Read, then score.

    1. The rules, and whether the placement is one.
    2. The session, from its topic; the ready list, what trends; the catalogue.
    3. The shopper's variants, and the model and the policy that they are given.
    4. The path of the list.

    Raises:
        EndcapError: there is no broker, no Redis, no such shopper or no model.
    """
    from endcap.deploy.rules_watch import read_messages, rules_source
    from endcap.lists import list_version
    from endcap.rules import parse_rules
    from endcap.serving.explanation import Made, difference, explain_held_out, explain_list, told
    from endcap.serving.list_making import Items
    from endcap.serving.redis_store import RedisStore
    from endcap.serving.ruled_lists import RuledLists
    from endcap.serving.shop_rules import ShopRules
    from endcap.streams.person import find_session
    from endcap.streams.topic_view import catalogue_view

    source = rules_source(settings)
    try:
        rules = await source.newest()
    finally:
        await source.close()
    in_force = None if rules is None else parse_rules(rules.text, "The rules cannot be used")
    _check_placement(placement, in_force, settings)
    session = await find_session(settings.broker, settings.topics, user_id)
    if session is None:
        raise EndcapError(
            f"Nobody is known as {user_id}: {settings.topics.sessions.name} has no session of "
            "theirs. Where events were sent, does `endcap stream` run? A device's id has none "
            "after its login."
        )
    store = RedisStore(settings.store)
    catalogue = catalogue_view(settings.broker, settings.topics)
    shop = ShopRules(read_messages(settings))
    try:
        if in_force is not None:
            shop.replace(in_force)
        ready, trending = await store.read(user_id), await RuledLists(store, shop).trending()
        await catalogue.start()
    finally:
        await catalogue.stop()
        await store.close()
    variant, treatment, model = _treated(settings, user_id, placement)
    if treatment.is_held_out and trending is not None:
        named = Items(model.bundle, catalogue).named
        explanation = explain_held_out(trending, treatment.policy.size, named)
        made_by = {"name": trending.model}
    else:
        explanation = explain_list(
            session,
            model,
            treatment.policy,
            catalogue,
            shop,
            treatment.explore,
            settings.generation,
        )
        made_of = model.bundle.manifest
        made_by = {"name": made_of.name, "created_at": made_of.created_at}
    made = Made(list_version(settings.generation, session.events_folded), made_by["name"], variant)
    title = {item.id: item.title for item in explanation.considered}
    return {
        "user_id": user_id,
        "placement": placement,
        "variant": variant,
        "is_held_out": treatment.is_held_out,
        "model": made_by,
        "rules": None if rules is None else {"version": rules.version, "said": rules.said},
        "session": _session(session, title),
        **told(explanation),
        "in_redis": None
        if ready is None
        else {
            "version": ready.version,
            "model": ready.model,
            "variant": ready.variant,
            "generated_at": ready.generated_at,
            "items": [item.id for item in ready.items],
            "differs": difference(ready, explanation, made)._asdict(),
        },
    }


def _treated(settings: Settings, user_id: str, placement: str) -> "tuple[str, Treatment, Model]":
    """The shopper's variants as a list names them, what they are given, and the model that scores.
    Experiments are on the lists that lie in Redis: at another placement there are none."""
    from endcap.deploy.experiment_watch import ExperimentModels
    from endcap.deploy.models_file import named, read_models
    from endcap.deploy.ready_model import checked_model
    from endcap.experiments import spell
    from endcap.policy import Policy
    from endcap.serving.variants import Running, chosen_of, treatment_of

    running = Running()
    if placement == DEFAULT_PLACEMENT:
        running = ExperimentModels(
            settings, lambda wanted: checked_model(wanted, settings)
        ).running()
    chosen = chosen_of(running.shop.running(int(time.time() * 1000)), user_id)
    treatment = treatment_of(chosen, running, Policy(placement=placement))
    current = read_models(settings.models_path).current or named(settings.bundle)
    model = treatment.model or checked_model(current, settings)
    return spell((each.name, name) for each, name in chosen), treatment, model


def _check_placement(name: str, rules: RuleSet | None, settings: Settings) -> None:
    """Those of rules too: `POST /v1/rescore` takes any."""
    known = {*known_placements(settings), *(rules.placements if rules else ())}
    if name not in known:
        raise SettingsError(unknown_placement(name, known))


def _session(session: Any, title: dict[str, str]) -> dict[str, Any]:
    from endcap.events import EventType

    names = {kind.code: kind.value for kind in EventType}
    return {
        "events_folded": session.events_folded,
        "updated_ms": session.updated_ms,
        "cart": list(session.cart),
        "items_bought": len(session.purchased),
        "newest": [
            {
                "id": past.item_id,
                "title": title.get(past.item_id, ""),
                "event_name": names[past.type_code],
                "timestamp_ms": past.timestamp_ms,
            }
            for past in session.history[: -_SHOWN_EVENTS - 1 : -1]
        ],
    }


def _show(found: dict[str, Any], left_out: int) -> None:
    from rich.table import Table

    _say(f"Shopper {found['user_id']}, placement {found['placement']}")
    session = found["session"]
    _say(
        f"Session: {session['events_folded']} events, {session['items_bought']} items bought, "
        f"{len(session['cart'])} in the cart; newest at {_utc(session['updated_ms'])}"
    )
    for past in session["newest"][:3]:
        _say(f"  {past['event_name']} {past['id']} {past['title']}")
    is_held_out = found["is_held_out"]
    if found["variant"]:
        _say(f"Variant: {found['variant']}" + (", which gets what trends" if is_held_out else ""))
    made_by = found["model"]
    _say(f"Model: {made_by['name']}, made {made_by.get('created_at', 'from what trends')}")
    rules = found["rules"]
    _say(f"Rules: {rules['said'] if rules else 'none'}")
    if found["rules_in_force"]:
        _say(f"  in force here now: {', '.join(found['rules_in_force'])}")
    by_id = {item["id"]: item for item in found["candidates"]}
    _say(f"Candidates: {len(by_id)}")
    is_wide = screen.width >= _WIDE
    columns = ["", "item", "id", "score", "rules", *(["sources"] if is_wide else []), "why"]
    slate = Table(*columns)
    for item in found["slate"]:
        one = by_id.get(item["id"])
        points = f" ({one['points']:+.2f})" if one and one["points"] else ""
        likely = item["propensity"]
        chance = "" if likely == 1 else f" chance here: {likely:.2g}"
        slate.add_row(
            str(item["place"]),
            item["title"],
            item["id"],
            f"{item['score']:.2f}",
            ", ".join(item["moved_by"]) + points + chance,
            *([_sources(one, is_held_out)] if is_wide else []),
            item["reason"],
        )
    screen.print(slate)
    absent = [item for item in found["candidates"] if not item["place"]][:left_out]
    if absent:
        table = Table("not shown", "id", "score", "why not")
        for item in absent:
            score = f"{item['score'] + item['points']:.2f}"
            table.add_row(item["title"], item["id"], score, item["why_not"])
        screen.print(table)
    _show_difference(found["in_redis"])


def _show_difference(ready: dict[str, Any] | None) -> None:
    if ready is None:
        _say("In Redis: no list. `endcap rescore` makes one at the shopper's next event.")
        return
    made = f"version {ready['version']}, made {_utc(ready['generated_at'])}"
    differs = ready["differs"]
    if differs["same"]:
        _say(f"In Redis: the same list, {made}.")
        return
    _say(f"In Redis: another list, {made}.")
    for what in ("added", "gone"):
        if differs[what]:
            _say(f"  {what}: {', '.join(differs[what])}")
    moved = [f"{item_id} {was} to {now}" for item_id, (was, now) in differs["moved"].items()]
    if moved:
        _say(f"  moved: {', '.join(moved)}")
    for why in differs["why"] or ["rules, prices or stock have changed since it was made"]:
        _say(f"  because {why}")


def _utc(when_ms: int) -> str:
    return f"{datetime.fromtimestamp(when_ms / 1000, UTC):%F %T} UTC"


def _say(line: str) -> None:
    screen.print(line, markup=False, highlight=False, soft_wrap=True)


def _sources(considered: dict[str, Any] | None, is_held_out: bool) -> str:
    if considered is not None:
        return ", ".join(considered["sources"])
    return "what trends" if is_held_out else "a pin alone"
