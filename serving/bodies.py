"""Bodies of requests: read up to a limit, and as what they should be or refused in words."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec
from fastapi import Request

from endcap.decoding import decode_with
from endcap.errors import InvalidEventError
from endcap.events import MAX_FUTURE_MS
from endcap.wrong_fields import in_words

_T = TypeVar("_T")


class BodyTooLargeError(Exception):
    """The body is above the limit; `most` bytes are allowed."""

    def __init__(self, most: int) -> None:
        super().__init__(f"At most {most} bytes a request; send smaller batches.")


async def read_body(request: Request, most: int) -> bytes:
    """The whole body; no more than `most` bytes of it are ever held.

    Raises:
        BodyTooLargeError: it is larger, whatever its header says.
    """
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise BodyTooLargeError(most)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise BodyTooLargeError(most)
    return bytes(body)


def decoded(
    decoder: msgspec.json.Decoder[_T],
    body: bytes,
    fields: str,
    choices: Mapping[str, Iterable[str]],
) -> _T:
    """The body as the decoder's type. `fields`: where a reader finds which there are; `choices`:
    what one of them may be, by its name.

    Raises:
        InvalidEventError: with a sentence that says what is wrong.
    """
    try:
        return decode_with(decoder, body)
    except msgspec.ValidationError as error:
        said = in_words(error, choices)
        raise InvalidEventError("schema", f"{said}. See {fields} for the fields.") from error
    except msgspec.DecodeError as error:
        raise InvalidEventError("not_json", f"The body is not JSON ({error}).") from error


def refuse_the_future(timestamp_ms: int, now_ms: int, of: str = "") -> None:
    """A page's clock may run ahead a little. `of`: whose time it is, where there are several.

    Raises:
        InvalidEventError: it lies further ahead.
    """
    if timestamp_ms > now_ms + MAX_FUTURE_MS:
        raise InvalidEventError(
            "future",
            f"timestamp_ms{of} lies ahead of this clock; is it in milliseconds?",
        )
