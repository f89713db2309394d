"""Web pages that ask for lists over HTTP all the while, and what they got."""

import asyncio
import random
import time
from collections import Counter

import httpx

PER_S = 20
TIMEOUT_S = 2.0


class Readers:
    """`run` asks until it is cancelled.

    `is_up`: whether the server itself is there to answer; `during`: the fault of now. `answers`:
    where lists came from; `failed`: during which fault a page got none.
    """

    def __init__(self, port: int, users: list[str], rng: random.Random) -> None:
        self._url = f"http://127.0.0.1:{port}/v1/recommendations/"
        self._users = users
        self._rng = rng
        self.is_up = True
        self.during = ""
        self.answers: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.slowest_s = 0.0

    async def run(self) -> None:
        """At `PER_S`; one that waits holds up no other."""
        waiting: set[asyncio.Task[None]] = set()
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            while True:
                asked = asyncio.create_task(self._ask(client))
                waiting.add(asked)
                asked.add_done_callback(waiting.discard)
                await asyncio.sleep(1 / PER_S)

    async def _ask(self, client: httpx.AsyncClient) -> None:
        was_up, during = self.is_up, self.during
        begun = time.monotonic()
        try:
            answer = await client.get(self._url + self._rng.choice(self._users))
            found = answer.json() if answer.status_code == httpx.codes.OK else {}
            told = found.get("source", f"status {answer.status_code}")
            is_served = bool(found.get("items"))
        except httpx.HTTPError as error:
            told, is_served = type(error).__name__, False
        if not (was_up and self.is_up):
            return  # asked while the server was gone, or when it went
        self.answers[told] += 1
        self.failed[during] += not is_served
        self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
