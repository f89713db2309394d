"""The assistant behind `POST /v1/assistant`, opened for as long as the server runs."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import msgspec

from endcap.assistant.answer import Answer
from endcap.assistant.assistant import Assistant
from endcap.assistant.plan import Turn
from endcap.assistant.products import ProductFinder
from endcap.assistant.question import QuestionError
from endcap.deploy.asked import Asked, Desk, Phrase, open_assistant, open_finder
from endcap.deploy.bundle_signatures import load_trusted
from endcap.deploy.live_shop import LiveShop
from endcap.deploy.opened_shop import PublishedOrTrained, bundle_folder, started_view
from endcap.deploy.processes import session_store
from endcap.deploy.settings import Settings
from endcap.deploy.stopping import cancelled
from endcap.errors import InvalidEventError, SettingsError
from endcap.serving.assistant_answers import AnswerShown, CitationShown, ClaimShown, QuestionAsked
from endcap.serving.list_reader import ListReader
from endcap.serving.rescore_queue import Scoring
from endcap.serving.shopper_tokens import ShopperTokens
from endcap.streams.conversation_records import ConversationRecords, Conversed, Sink
from endcap.streams.order_view import OrderView

log = logging.getLogger(__name__)


def shopper_tokens(settings: Settings) -> ShopperTokens | None:
    """Who shoppers are; None where no secret is set, and nobody's orders are told.

    Raises:
        SettingsError: the secret is too short.
    """
    secret = settings.shopper_token_secret.get_secret_value()
    return ShopperTokens(secret, settings.shopper_token_valid_s) if secret else None


@asynccontextmanager
async def opened_assistant(
    settings: Settings,
    products: PublishedOrTrained | None,
    lists: ListReader,
    queue: Scoring | None,
    records: Sink,
) -> AsyncIterator["LiveAnswerer | None"]:
    """The assistant; None where it is not switched on. It answers from its documents while Kafka
    and Redis are away.

    Raises:
        EndcapError: documents or intents cannot be read, or phrasing is not set up as a whole.
    """
    if products is None or not settings.assistant:
        yield None
        return
    assistant = await asyncio.to_thread(open_assistant, settings)
    for place, sentence in assistant.documents.left_out:
        log.warning("%s: %r reads like an order to a program; it is never quoted.", place, sentence)
    if not assistant.documents.sections:
        log.warning(
            "%s has no documents: the assistant knows nothing of returns, delivery or payment.",
            settings.assistant_documents,
        )
    async with AsyncExitStack() as closing:
        orders = OrderView(
            settings.broker,
            settings.topics,
            session_store(settings, settings.sessions_dir / "orders"),
            settings.erasure_secret.get_secret_value(),
            settings.forget_after_days,
        )
        closing.push_async_callback(orders.stop)
        starting = started_view(orders, "the assistant")
        closing.push_async_callback(cancelled, asyncio.create_task(starting))
        kept = ConversationRecords(records)
        closing.push_async_callback(kept.close)
        phrase: Phrase | None = None
        if settings.assistant_phrasing_url:
            phrase = await closing.enter_async_context(_phrasing(settings))
        shop = LiveShop(products, orders, lists, queue)
        yield LiveAnswerer(settings, assistant, shop, kept, phrase)


class LiveAnswerer:
    """Implements the HTTP server's answerer, and keeps what was said."""

    def __init__(
        self,
        settings: Settings,
        assistant: Assistant,
        shop: LiveShop,
        kept: ConversationRecords,
        phrase: Phrase | None = None,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._settings = settings
        self._assistant = assistant
        self._shop = shop
        self._kept = kept
        self._phrase = phrase
        self._now_ms = now_ms
        self._desk: Desk | None = None
        self._opening = asyncio.Lock()

    async def answer(self, asked: QuestionAsked, user_id: str) -> AnswerShown:
        """The answer.

        1. Answer. 2. Keep it. 3. Show it.

        Raises:
            InvalidEventError: the question cannot be taken.
            EndcapError: the bundle, or something outside, is away.
        """
        desk = await self._opened()
        turns = tuple(Turn(turn.question, turn.kind) for turn in asked.earlier)
        try:
            told = await desk.answer(Asked(asked.question, user_id, turns))
        except QuestionError as error:
            raise InvalidEventError("question", str(error)) from error
        await self._kept.keep(self._record(asked, user_id, told.answer))
        return _shown(told.answer)

    async def _opened(self) -> Desk:
        """The desk; products are found by the bundle's words, which are read once."""
        async with self._opening:
            if self._desk is None:
                finder = await asyncio.to_thread(self._finder)
                currency = self._settings.assistant_currency
                self._desk = Desk(
                    self._assistant, finder, self._shop, currency, self._phrase, self._now_ms
                )
        return self._desk

    def _finder(self) -> ProductFinder:
        folder = bundle_folder(self._settings)
        return open_finder(folder, load_trusted(folder, self._settings))

    def _record(self, asked: QuestionAsked, user_id: str, answer: Answer) -> Conversed:
        told = answer.hand_over
        return Conversed(
            asked.conversation_id or uuid4().hex,
            user_id,
            self._now_ms(),
            asked.question,
            answer.kind,
            answer.intent,
            answer.confidence,
            answer.language,
            answer.text,
            len(answer.citations),
            answer.phrased,
            None if told is None else msgspec.to_builtins(told),
            tuple(dict.fromkeys(f"{each.source} {each.id}" for each in answer.citations)),
        )


@asynccontextmanager
async def _phrasing(settings: Settings) -> AsyncIterator[Phrase]:
    if not settings.assistant_phrasing_model:
        raise SettingsError(
            "assistant_phrasing_url is set and assistant_phrasing_model is not: name the model "
            "that the endpoint shall use."
        )
    from endcap.deploy.phrased import phrasing

    async with phrasing(settings) as phrase:
        yield phrase


def _shown(answer: Answer) -> AnswerShown:
    return AnswerShown(
        answer.kind,
        answer.intent,
        answer.language,
        answer.text,
        [ClaimShown(claim.text, claim.cites) for claim in answer.claims],
        [CitationShown(c.source, c.id, c.field, c.value) for c in answer.citations],
        answer.phrased,
    )
