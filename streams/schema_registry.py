"""A schema registry that speaks Confluent's HTTP protocol: Confluent, Karapace, Apicurio, Redpanda.

https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote

import httpx
import msgspec

from endcap.errors import InvalidEventError, RegistryUnavailableError
from endcap.streams import metrics

TIMEOUT_S = 5.0
_NOT_THERE = {40401, 40402, 40403}
"""The protocol's own codes for a subject, a version and a schema. A 404 without one of them comes
from something that is no registry: a wrong path must not turn a topic into dead letters."""
_DEEPEST = 20


class Schema(NamedTuple):
    """A schema as registered: `AVRO`, `PROTOBUF` or `JSON`, and what it refers to by name."""

    kind: str
    text: str
    references: tuple[tuple[str, "Schema"], ...] = ()


class _Reference(msgspec.Struct):
    name: str
    subject: str
    version: int


class _Answer(msgspec.Struct):
    """As the protocol names it; a schema without a type is Avro's."""

    schema: str
    schemaType: str | None = None  # noqa: N815
    references: list[_Reference] | None = None


class SchemaRegistry:
    """Asks once for each schema; who calls it waits and asks again where it does not answer."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._client: httpx.AsyncClient | None = None

    async def schema(self, schema_id: int) -> Schema:
        """The schema that records with this id were written with.

        Raises:
            InvalidEventError: the registry answered that there is none.
            RegistryUnavailableError: it did not answer, or not as a registry does.
        """
        try:
            found = await self._read(await self._get(f"/schemas/ids/{schema_id}"), 0)
        except RegistryUnavailableError:
            metrics.REGISTRY.labels("failed").inc()
            raise
        except InvalidEventError:
            metrics.REGISTRY.labels("unknown").inc()
            raise
        metrics.REGISTRY.labels("found").inc()
        return found

    async def check(self) -> None:
        """Returns when it has answered.

        Raises:
            RegistryUnavailableError: it did not answer, or not as a registry does.
        """
        if not isinstance(await self._get("/schemas/types"), list):
            self._fail("its answer is not that of a schema registry")

    async def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            await self._client.aclose()

    async def _read(self, answer: Any, depth: int) -> Schema:
        try:
            found = msgspec.convert(answer, _Answer)
        except msgspec.ValidationError as error:
            self._fail(f"its answer is no schema ({error})", error)
        if depth > _DEEPEST:
            raise InvalidEventError("schema_id", "The schema's references are nested too deep.")
        references = []
        for each in found.references or ():
            path = f"/subjects/{quote(each.subject, safe='')}/versions/{each.version}"
            references.append((each.name, await self._read(await self._get(path), depth + 1)))
        return Schema(found.schemaType or "AVRO", found.schema, tuple(references))

    async def _get(self, path: str) -> Any:
        try:
            answer = await self._connected().get(self._url.rstrip("/") + path)
            found = answer.json()
        except httpx.HTTPError as error:
            self._fail(repr(error), error)
        except ValueError as error:
            self._fail(f"{path} is answered with {answer.status_code}, without JSON", error)
        code = found.get("error_code") if isinstance(found, dict) else None
        if answer.status_code == httpx.codes.NOT_FOUND and code in _NOT_THERE:
            raise InvalidEventError(
                "schema_id", f"The registry at {self.shown} has no {path}: {found.get('message')}"
            )
        if answer.status_code != httpx.codes.OK:
            self._fail(f"{path} is answered with {answer.status_code}")
        return found

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self._timeout_s, follow_redirects=True)
        return self._client

    def _fail(self, why: str, cause: Exception | None = None) -> NoReturn:
        raise RegistryUnavailableError(
            f"The schema registry at {self.shown} does not answer as one: {why}. Start it, or "
            "mend `registry` in the source's settings. Its records wait; none is lost."
        ) from cause

    @property
    def shown(self) -> str:
        """Its URL without a password."""
        return str(httpx.URL(self._url).copy_with(userinfo=b""))
