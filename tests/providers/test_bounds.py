"""Memory stays bounded whatever a server sends. The peak is measured in a process of its own, by the system."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import pytest

from holychat.providers.bodies import PIECE, BodyError, Inflater
from tests.providers.tools import ask
from tests.support.loopback import Loopback, Piece, Script, chunk, event, events_reply, reply_events

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024
CLIENT = """
import asyncio, json, resource, sys
from tests.providers.tools import REQUEST, outcome_of, provider
from holychat.errors import ProviderError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

async def main(address, way):
    asked = provider(address)
    await asked.warm()
    before = peak()
    if way == "complete":
        try:
            text, error = (await asked.complete(REQUEST)).text, None
        except ProviderError as failure:
            text, error = "", failure
    else:
        outcome = await outcome_of(asked)
        text, error = outcome.text, outcome.error
    await asked.aclose()
    print(json.dumps([peak() - before, type(error).__name__, error.title if error else "", len(text)]))

asyncio.run(main(*sys.argv[1:]))
"""


async def peak_of(loopback: Loopback, script: Script, way: str = "stream") -> tuple[int, str, str, int]:
    """(bytes of memory that the request took at its peak, error class, title, length of the text)."""
    loopback.chat(script)
    command = [sys.executable, "-c", CLIENT, loopback.base_url, way]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    growth, kind, title, length = json.loads(done.stdout)
    return growth, kind, title, length


def bomb(unit: bytes, mebibytes: int, begin: bytes = b"") -> bytes:
    """`mebibytes` of `unit`, compressed about a thousand times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = unit * (MIB // len(unit))
    return b"".join([packer.compress(begin), *(packer.compress(block) for _ in range(mebibytes)), packer.flush()])


ONE_EVENT = event(chunk("x" * 9000))


@pytest.mark.parametrize(
    ("unit", "begin", "says"),
    [
        pytest.param(b"\0", b"data: ", "one event", id="one endless line"),
        pytest.param(ONE_EVENT, b"", "64 MiB", id="endless events"),
        pytest.param(b": " + b"x" * 254 + b"\n\n", b"", "64 MiB", id="endless comments"),
        pytest.param(b"data: x\n", b"", "one event", id="an event of endless lines"),
    ],
)
async def test_a_decompression_bomb_takes_little_memory(
    loopback: Loopback, unit: bytes, begin: bytes, says: str
) -> None:
    packed = bomb(unit, 300, begin)
    assert len(packed) < 2 * MIB
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    first = gzip.compress(event(chunk("kept")))
    growth, kind, title, length = await peak_of(loopback, Script(200, headers, [first, packed]))
    assert kind == "ReplyBroken"
    assert says in title
    assert length >= 4, "the text before the bomb is gone"
    # The text of endless events is the reply itself and is kept by whoever reads it; nothing else may be large.
    assert growth < 24 * MIB + 2 * length, f"{growth / MIB:.0f} MiB"


async def test_a_bomb_in_place_of_a_whole_reply_takes_little_memory(loopback: Loopback) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    script = Script(200, headers, [bomb(b" ", 300)])
    growth, kind, title, _ = await peak_of(loopback, script, "complete")
    assert (kind, "16 MiB" in title) == ("ReplyBroken", True)
    assert growth < 48 * MIB, f"{growth / MIB:.0f} MiB"


async def test_a_bomb_in_an_error_takes_little_memory(loopback: Loopback) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    growth, kind, title, _ = await peak_of(loopback, Script(401, headers, [bomb(b" ", 300)]))
    assert (kind, title) == ("KeyRejected", "test does not accept the key: HTTP 401 Unauthorized")
    assert growth < 12 * MIB, f"{growth / MIB:.0f} MiB"


async def test_an_endless_line_is_cut_at_the_limit(loopback: Loopback) -> None:
    def endless() -> Iterator[Piece]:
        yield event(chunk("kept"))
        yield b"data: "
        for _ in range(200):
            yield b"x" * MIB

    growth, kind, title, length = await peak_of(loopback, events_reply(endless()))
    assert (kind, length) == ("ReplyBroken", 4)
    assert "larger than 1024 KiB" in title
    assert growth < 24 * MIB, f"{growth / MIB:.0f} MiB"


async def test_an_error_page_of_20_mb_is_read_in_part(loopback: Loopback) -> None:
    page = Script(502, {"content-type": "text/html"}, [b"<html>", *[b"x" * MIB] * 20])
    growth, kind, title, _ = await peak_of(loopback, page)
    assert (kind, title) == ("ServerFault", "test failed: HTTP 502 Bad Gateway")
    assert growth < 12 * MIB, f"{growth / MIB:.0f} MiB"


async def test_endless_headers_are_refused(loopback: Loopback) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %s\r\n" % (i, b"y" * 1000) for i in range(2000))
    growth, kind, _, _ = await peak_of(loopback, Script(pieces=[head], framing="raw"))
    assert kind == "ReplyBroken"
    assert growth < 12 * MIB, f"{growth / MIB:.0f} MiB"


# Compression that is no bomb


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("X-GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data)[2:-4]),
        ("identity", bytes),
        ("gzip", lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:])),
        ("gzip", lambda data: gzip.compress(data) + b"\0\0junk"),
    ],
)
async def test_a_compressed_stream_is_read_though_it_was_not_asked_for(
    loopback: Loopback, encoding: str, pack: type[bytes]
) -> None:
    packed = pack(b"".join(reply_events(["Xin ", "chào"] * 500)))
    pieces = [packed[i : i + 7] for i in range(0, len(packed), 7)]
    headers = {"content-type": "text/event-stream", "content-encoding": encoding}
    loopback.chat(Script(200, headers, pieces))
    outcome = await ask(loopback.base_url)
    assert outcome.error is None
    assert outcome.text == "Xin chào" * 500
    assert loopback.requests[0].headers["accept-encoding"] == "identity"


async def test_a_flushed_compressed_stream_is_shown_as_it_arrives(loopback: Loopback) -> None:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    pieces = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in reply_events(["a", "b"])[:-1]]
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    loopback.chat(Script(200, headers, pieces))
    outcome = await ask(loopback.base_url)
    assert (outcome.text, outcome.finish, outcome.error) == ("ab", "stop", None)


@pytest.mark.parametrize(("encoding", "says"), [("br", "'br'"), ("gzip", "damaged"), ("gzip, br", "'gzip, br'")])
async def test_compression_that_cannot_be_undone_is_a_broken_reply(
    loopback: Loopback, encoding: str, says: str
) -> None:
    headers = {"content-type": "text/event-stream", "content-encoding": encoding}
    loopback.chat(Script(200, headers, reply_events(["Hi"])))
    outcome = await ask(loopback.base_url)
    assert outcome.error is not None
    assert says in outcome.error.title


def test_inflated_pieces_are_small_and_complete() -> None:
    data = bytes(10 * MIB)
    pieces = list(Inflater("gzip").feed(gzip.compress(data)))
    assert max(map(len, pieces)) <= PIECE
    assert b"".join(pieces) == data


def test_an_unknown_compression_is_refused() -> None:
    with pytest.raises(BodyError, match="zstd"):
        Inflater("zstd")
