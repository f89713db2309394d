"""One JSON object, or an array of them, in a request's body: all are taken in, or none."""

import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import msgspec
from fastapi import Response

from endcap.counted import counted
from endcap.decoding import decode_with
from endcap.errors import ConsentDeniedError, InvalidEventError
from endcap.serving.field_errors import field_error
from endcap.serving.problems import FieldError, problem

_T = TypeVar("_T")
_rows = msgspec.json.Decoder(list[msgspec.Raw])


class Kind(NamedTuple):
    """What is posted: `one` in words, at most so many in an array."""

    one: str
    most: int


class WrongRowsError(Exception):
    """Some row is wrong; `errors` says where, `detail` says the first in a sentence."""

    def __init__(self, kind: Kind, detail: str, errors: list[FieldError]) -> None:
        super().__init__(detail)
        self.kind = kind
        self.errors = errors

    def answer(self) -> Response:
        """As a problem."""
        return problem(422, f"Invalid {self.kind.one}", str(self), errors=self.errors)


class Parsed(NamedTuple, Generic[_T]):
    """The rows in their order; `denied`: how many were dropped, of shoppers who refused."""

    rows: list[_T]
    denied: int


def parse_rows(body: bytes, parse: Callable[[bytes, int], _T], kind: Kind) -> Parsed[_T]:
    """All rows that may be kept; `parse` is told the time in ms.

    Raises:
        WrongRowsError: the body is no JSON, has too many rows, or one that `parse` refuses.
    """
    now_ms = int(time.time() * 1000)
    if not body.lstrip().startswith(b"["):
        try:
            return Parsed([parse(body, now_ms)], 0)
        except ConsentDeniedError:
            return Parsed([], 1)
        except InvalidEventError as error:
            raise WrongRowsError(kind, str(error), [field_error(error)]) from error
    try:
        raw = decode_with(_rows, body)
    except msgspec.DecodeError as error:
        said = f"The body is not JSON ({error})."
        raise WrongRowsError(kind, said, [FieldError("", said)]) from error
    if len(raw) > kind.most:
        said = f"{counted(len(raw), kind.one)} in one request; send at most {kind.most}."
        raise WrongRowsError(kind, said, [FieldError("", said)])
    return _all_of(raw, parse, kind, now_ms)


def _all_of(
    raw: list[msgspec.Raw], parse: Callable[[bytes, int], _T], kind: Kind, now_ms: int
) -> Parsed[_T]:
    rows: list[_T] = []
    denied = 0
    errors: list[FieldError] = []
    first = ""
    for place, row in enumerate(raw):
        try:
            rows.append(parse(bytes(row), now_ms))
        except ConsentDeniedError:
            denied += 1
        except InvalidEventError as error:
            errors.append(field_error(error, place))
            first = first or f"{kind.one.capitalize()} {place} of the array: {error}"
    if errors:
        more = f" So are {len(errors) - 1} others." if len(errors) > 1 else ""
        raise WrongRowsError(kind, f"{first}{more} None of them was taken in.", errors)
    return Parsed(rows, denied)
