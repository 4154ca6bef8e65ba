"""Nothing of a server is left when it ends, whatever its connections were doing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.loopback import Loopback, whole
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was reported of objects that were collected while they were open."""
    reports: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reports.append(repr(report.exc_value)))
    return reports


@contextlib.contextmanager
def clients(port: int, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("turns", range(5))
async def test_a_server_that_ends_closes_what_it_accepted(count: int, turns: int, unraisable: list[str]) -> None:
    """After so many turns of the loop: accepted by the system only, by the loop, or being served."""

    async def wait_for_ever(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(serving(wait_for_ever))
        with clients(port, count) as connected:
            for _ in range(turns):
                await asyncio.sleep(0)
            await stack.aclose()
            for client in connected:
                client.settimeout(10)
                with contextlib.suppress(ConnectionResetError):
                    assert await asyncio.to_thread(client.recv, 1) == b""
    gc.collect()
    assert not unraisable


@pytest.mark.parametrize("count", [1, 2, 3] * 4)
def test_a_loopback_server_that_ends_at_once_leaves_nothing_open(count: int, unraisable: list[str]) -> None:
    with contextlib.ExitStack() as stack:
        with Loopback() as server:
            server.chat(whole("x"))
            for number, client in enumerate(stack.enter_context(clients(server.port, count))):
                if number % 2:
                    client.send(REQUEST)
        gc.collect()
    assert not unraisable
