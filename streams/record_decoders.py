"""How the records of one source become rows."""

from collections.abc import Iterable
from typing import Protocol

from endcap.adapters import Decoder, Row
from endcap.errors import InvalidEventError


class RecordDecoder(Protocol):
    """What a source is read with."""

    async def prepare(self, values: Iterable[bytes]) -> None:
        """Get what is needed to decode these.

        Raises:
            RegistryUnavailableError: none of them can be decoded now.
        """

    def decode(self, raw: bytes) -> Row:
        """Raises InvalidEventError for bytes that are not of the source's format."""


class PlainDecoder:
    """One decoder for all records."""

    def __init__(self, decode: Decoder) -> None:
        self._decode = decode

    async def prepare(self, values: Iterable[bytes]) -> None:
        """There is nothing to get."""

    def decode(self, raw: bytes) -> Row:
        """By the one decoder. It may be anybody's: one record must not end the process."""
        try:
            return self._decode(raw)
        except InvalidEventError:
            raise
        except Exception as error:
            raise InvalidEventError(
                "decoder", f"The decoder failed of it: {error!r}. Mend it, then replay the record."
            ) from error
