"""Server-sent events: httpx-sse's decoders behind a bounded adapter.

httpx-sse 0.4.3 reads lines and fields right, and leaves open what matters for an untrusted server: it takes the charset
of the header instead of UTF-8, loses the first event behind a byte order mark, repeats empty events after an `id`,
ignores the `error` field of older llama.cpp servers, and has no limit on the size of an event.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from holychat.providers.bodies import BodyError

if TYPE_CHECKING:
    import httpx

EVENT_LIMIT = 1024 * 1024
"""Characters of one event at most."""


def media_type(response: httpx.Response) -> str:
    """The media type without parameters, in lower case."""
    content_type: str = response.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower()


class EventReader:
    """Bytes in, events out. An event is a pair (name, data); the name of an ordinary one is "message"."""

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        # The decoders are not exported by httpx_sse, hence the narrow version range in pyproject.toml.
        from httpx_sse._decoders import SSEDecoder, SSELineDecoder

        self._limit = limit
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._lines = SSELineDecoder()
        self._fields = SSEDecoder()
        self._at_start = True
        self._line_size = 0
        self._event_size = 0

    def feed(self, data: bytes) -> list[tuple[str, str]]:
        """The events that some more bytes complete.

        Raises:
            BodyError: An event is larger than the limit.
        """
        text = self._text.decode(data)
        if not text:
            return []
        if self._at_start:
            self._at_start = False
            text = text.removeprefix("\ufeff")
        lines = self._lines.decode(text)
        if lines:
            self._line_size = sum(map(len, self._lines.buffer))
            events = self._read(lines)
        else:
            self._line_size += len(text)
            events = []
        if self._line_size + self._event_size > self._limit:
            raise BodyError(f"one event of it is larger than {self._limit // 1024} KiB")
        return events

    def finish(self) -> list[tuple[str, str]]:
        """What the end leaves: an event without its blank line, which may be cut anywhere."""
        text = self._text.decode(b"", final=True)
        lines = self._lines.decode(text) if text else []
        return self._read([*lines, *self._lines.flush(), ""])

    def _read(self, lines: list[str]) -> list[tuple[str, str]]:
        events: list[tuple[str, str]] = []
        decode = self._fields.decode
        for line in lines:
            if not line:
                self._event_size = 0
                event = decode(line)
                if event is not None and event.data:
                    events.append((event.event, event.data))
            elif line[0] == ":":
                continue
            else:
                self._event_size += len(line)
                if line.startswith("error:"):
                    events.append(("error", line[6:].strip()))
                else:
                    decode(line)
        return events
