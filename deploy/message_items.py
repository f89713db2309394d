"""A shopper's recommended items as a message shows them."""

import asyncio
from typing import TYPE_CHECKING

from endcap.deploy.settings import Settings

if TYPE_CHECKING:
    from endcap.marketing.message import MessageItem

_SHOWN = 4


def message_items(settings: Settings, user_id: str) -> "list[MessageItem]":
    """The first of their list in Redis, else of what trends; what is sold out or has no title is
    passed over.

    Raises:
        StoreUnavailableError: Redis does not answer.
        SettingsError: the secret of pseudonyms is too short.
    """
    kept_id = settings.kept_id(user_id)

    async def read() -> "list[MessageItem]":
        from endcap.marketing.message import MessageItem
        from endcap.serving.redis_store import RedisStore

        store = RedisStore(settings.store)
        try:
            ready = await store.read(kept_id) or await store.trending()
            rows = ready.items if ready else ()
            known = await store.items([row.id for row in rows])
        finally:
            await store.close()
        told = [(row, known[row.id]) for row in rows if row.id in known]
        return [
            MessageItem(row.id, item.title, row.reason, item.price)
            for row, item in told
            if not item.is_sold_out
        ][:_SHOWN]

    return asyncio.run(read())
