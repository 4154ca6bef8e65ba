"""What people write themselves to send many requests: the usual three clients, one task per request behind a semaphore.

    python -m tests.bench.batch_clients aiohttp http://127.0.0.1:1234/v1 requests.jsonl 100

sends the bodies of an OpenAI batch file, keeps every answer's text and tokens in a list, and prints what it took: one
JSON object with `wall_s` and `cpu_s` of the sending alone, `memory_mb` at its highest, `answers`.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

Answer = tuple[str, int]
Send = Callable[[dict[str, Any]], Awaitable[Answer]]
_PATIENCE = 120.0


def _answer(reply: dict[str, Any]) -> Answer:
    return reply["choices"][0]["message"]["content"], reply["usage"]["completion_tokens"]


@asynccontextmanager
async def plain_httpx(url: str, at_once: int) -> AsyncIterator[Send]:
    import httpx

    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    async with httpx.AsyncClient(timeout=_PATIENCE, limits=limits) as client:

        async def send(body: dict[str, Any]) -> Answer:
            reply = await client.post(f"{url}/chat/completions", json=body)
            reply.raise_for_status()
            return _answer(reply.json())

        yield send


@asynccontextmanager
async def plain_aiohttp(url: str, at_once: int) -> AsyncIterator[Send]:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_once)) as session:

        async def send(body: dict[str, Any]) -> Answer:
            async with session.post(f"{url}/chat/completions", json=body) as reply:
                reply.raise_for_status()
                return _answer(await reply.json())

        yield send


@asynccontextmanager
async def official_openai(url: str, at_once: int) -> AsyncIterator[Send]:
    import openai

    async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0, timeout=_PATIENCE) as client:

        async def send(body: dict[str, Any]) -> Answer:
            reply = await client.chat.completions.create(**body)
            assert reply.usage is not None
            return str(reply.choices[0].message.content), reply.usage.completion_tokens

        yield send


CLIENTS: dict[str, Callable[[str, int], AbstractAsyncContextManager[Send]]] = {
    "httpx": plain_httpx,
    "aiohttp": plain_aiohttp,
    "openai": official_openai,
}


async def _all(name: str, url: str, bodies: list[dict[str, Any]], at_once: int) -> dict[str, Any]:
    async with CLIENTS[name](url, at_once) as send:
        semaphore = asyncio.Semaphore(at_once)

        async def one(body: dict[str, Any]) -> Answer:
            async with semaphore:
                return await send(body)

        begun, cpu = time.monotonic(), time.process_time()
        answers = await asyncio.gather(*(one(body) for body in bodies))
        return {
            "wall_s": time.monotonic() - begun,
            "cpu_s": time.process_time() - cpu,
            "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "answers": len(set(answers)),
        }


if __name__ == "__main__":
    _, which, where, file, most = sys.argv
    with open(file, encoding="utf-8") as lines:
        requests = [json.loads(line)["body"] for line in lines]
    print(json.dumps(asyncio.run(_all(which, where, requests, int(most)))))
