"""A server of asyncio streams on 127.0.0.1 that leaves no connection open when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Coroutine

_TURNS_TO_ACCEPT = 2
"""Of the event loop, from a listener's accept to the call of its callback: the transport, then `connection_made`."""


@contextlib.asynccontextmanager
async def serving(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]],
    port: int = 0,
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve each connection in a task of its own and give the port; 0 lets the system choose one.

    At the end the tasks are cancelled and the connections closed, also those whose task has not begun: a transport
    that outlives its loop is reported whenever it is collected, in some other test.
    """
    connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        connections[task] = writer
        task.add_done_callback(lambda ended: connections.pop(ended).close())

    server = await asyncio.start_server(accept, "127.0.0.1", port, backlog=256, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        # First no more is taken from the system; `close` comes when what was taken has its transport, for a server
        # that is closed gives none.
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(_TURNS_TO_ACCEPT):
            await asyncio.sleep(0)
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
