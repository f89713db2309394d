"""endcap's lists for a page: what to show this shopper, in one round trip to Redis.

>>> from endcap.client import Client
>>> with Client.connect("redis://localhost:6379/0") as shop:  # doctest: +SKIP
...     answer = shop.recommend("1364", last_item="1029743", category="Dairy", size=8)
...     print(answer.source, [item.id for item in answer.items])
own ['1082185', '981760', ...]

`AsyncClient` is the same with `await`. What is read is the contract of docs/redis.md. Needs redis
and msgspec alone: `pip install '.[client]'` in a clone.
"""

from endcap.client.answers import Answer, Observation, Source
from endcap.client.async_client import AsyncClient
from endcap.client.errors import (
    ClientError,
    ListsUnavailableError,
    ReadRefusedError,
    RequestError,
    UnreadableValueError,
)
from endcap.client.options import Options
from endcap.client.sync_client import Client
from endcap.pseudonyms import pseudonym

__all__ = [
    "Answer",
    "AsyncClient",
    "Client",
    "ClientError",
    "ListsUnavailableError",
    "Observation",
    "Options",
    "ReadRefusedError",
    "RequestError",
    "Source",
    "UnreadableValueError",
    "pseudonym",
]
