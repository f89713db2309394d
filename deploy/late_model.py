"""What scores on request, opened now or later: without a model a server answers what trends."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from endcap.deploy.model_watch import open_slot_for_requests
from endcap.deploy.settings import Settings
from endcap.deploy.stopping import cancelled, running
from endcap.errors import BrokerUnavailableError, BundleError
from endcap.serving.rescore_queue import LateQueue, RescoreQueue
from endcap.serving.shop_rules import ShopRules
from endcap.streams.topic_view import catalogue_view

log = logging.getLogger(__name__)
_FIRST_RETRY_S, _LAST_RETRY_S = 0.5, 3.0
_MAY_COME = (BundleError, BrokerUnavailableError)
"""A bundle that is copied into its place, a broker that starts. Other errors end the process."""


@asynccontextmanager
async def late_model(settings: Settings, shop: ShopRules) -> AsyncIterator[LateQueue]:
    """The queue; while its model or its catalogue is missing they are looked for."""
    late = LateQueue()
    async with AsyncExitStack() as opened:
        try:
            late.queue = await _open(settings, shop, opened)
        except _MAY_COME as error:
            log.warning("%s Requests are answered with what trends until it is there.", error)
            opening = asyncio.create_task(_until_open(settings, shop, opened, late))
            opened.push_async_callback(cancelled, opening)
        yield late


async def _open(settings: Settings, shop: ShopRules, opened: AsyncExitStack) -> RescoreQueue:
    slot, watch = await asyncio.to_thread(open_slot_for_requests, settings)
    catalogue = catalogue_view(settings.broker, settings.topics)
    await catalogue.start()
    opened.push_async_callback(catalogue.stop)
    await opened.enter_async_context(running(watch))
    return RescoreQueue(slot, catalogue, shop)


async def _until_open(
    settings: Settings, shop: ShopRules, opened: AsyncExitStack, late: LateQueue
) -> None:
    retry_s = _FIRST_RETRY_S
    while late.queue is None:
        await asyncio.sleep(retry_s)
        retry_s = min(2 * retry_s, _LAST_RETRY_S)
        with contextlib.suppress(*_MAY_COME):
            late.queue = await _open(settings, shop, opened)
    log.warning("The model is there: requests are scored.")
