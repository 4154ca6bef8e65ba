"""Baseline: what Textual itself offers for a chat, and nothing else. Input, Markdown fed by its own stream, httpx.

python bare_textual.py BASE_URL
"""

from __future__ import annotations

import json
import sys
from typing import ClassVar

import httpx
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Input, Markdown


class BareChat(App[None]):
    """Shows each question and streams its answer into a Markdown widget."""

    CSS = "#log { height: 1fr } Markdown { height: auto }"
    ENABLE_COMMAND_PALETTE: ClassVar[bool] = False

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._client = httpx.AsyncClient(timeout=None)

    def compose(self) -> ComposeResult:
        yield VerticalScroll(id="log")
        yield Input(placeholder="Write a message")

    def on_mount(self) -> None:
        self.query_one("#log").anchor()
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.input.clear()
        self.run_worker(self._answer(event.value))

    async def _answer(self, question: str) -> None:
        answer = Markdown()
        await self.query_one("#log").mount(Markdown(question), answer)
        request = {"model": "bench-model", "stream": True, "messages": [{"role": "user", "content": question}]}
        stream = Markdown.get_stream(answer)
        async with self._client.stream("POST", f"{self._url}/chat/completions", json=request) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    for choice in json.loads(line[6:])["choices"]:
                        if text := choice["delta"].get("content"):
                            await stream.write(text)
        await stream.stop()


if __name__ == "__main__":
    BareChat(sys.argv[1]).run()
