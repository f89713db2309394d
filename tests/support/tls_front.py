"""TLS in front of a server that has none, as a terminator beside it would do it.

The Valkey that comes by pip is built without TLS.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path


@contextlib.asynccontextmanager
async def tls_front(port: int, certificate: Path) -> AsyncIterator[int]:
    """Its port, as long as the block lasts; what is decrypted goes to `port` of this machine."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while some := await reader.read(65536):
                writer.write(some)
                await writer.drain()
        writer.close()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, to_behind = await asyncio.open_connection("127.0.0.1", port)
        open_writers.update({writer, to_behind})
        await asyncio.gather(pour(reader, to_behind), pour(behind, writer))

    open_writers: set[asyncio.StreamWriter] = set()
    server = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in open_writers:
            writer.close()
