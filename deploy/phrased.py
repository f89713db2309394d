"""Answers in a model's words, shown only where it says nothing that the facts do not."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from endcap.assistant.answer import Answer
from endcap.assistant.phrasing import is_supported
from endcap.deploy.asked import Phrase
from endcap.deploy.settings import Settings
from endcap.errors import ConnectionFailedError, EndcapError

log = logging.getLogger(__name__)


@asynccontextmanager
async def phrasing(settings: Settings) -> AsyncIterator[Phrase]:
    """Phrases answers by the endpoint that the settings name; each that fails stays as it is.

    Raises:
        EndcapError: the extra for it is not installed.
    """
    try:
        from endcap.serving.phrasing_client import OUTCOMES, PhrasingClient
    except ImportError as error:
        raise EndcapError(
            f"Phrasing needs the assistant extra ({error.name} is missing): "
            "pip install '.[assistant]' in a clone."
        ) from error
    client = PhrasingClient(
        settings.assistant_phrasing_url,
        settings.assistant_phrasing_model,
        settings.assistant_phrasing_key.get_secret_value(),
        settings.assistant_phrasing_timeout_s,
    )

    async def phrased(answer: Answer) -> Answer:
        if answer.language != "en":
            return answer  # names cannot be told by their capitals
        try:
            text = await client.phrase(answer.text)
        except ConnectionFailedError as error:
            OUTCOMES.labels("failed").inc()
            log.warning("%s The answer is shown in its own words.", error)
            return answer
        if not is_supported(text, answer):
            OUTCOMES.labels("refused").inc()
            return answer
        OUTCOMES.labels("shown").inc()
        return msgspec.structs.replace(answer, text=text, phrased=True)

    try:
        yield phrased
    finally:
        await client.close()
