"""Bodies of requests, up to a limit."""

from fastapi import Request


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
