"""Baseline: the least a Python program does with a stream. httpx and httpx-sse, each piece printed as it comes.

python plain_printer.py BASE_URL
"""

from __future__ import annotations

import sys

import httpx
from httpx_sse import connect_sse


def answer(client: httpx.Client, url: str, question: str) -> None:
    """Print one reply."""
    request = {"model": "bench-model", "stream": True, "messages": [{"role": "user", "content": question}]}
    with connect_sse(client, "POST", f"{url}/chat/completions", json=request) as source:
        for event in source.iter_sse():
            if event.data == "[DONE]":
                return
            for choice in event.json()["choices"]:
                if text := choice["delta"].get("content"):
                    print(text, end="", flush=True)


def main(url: str) -> None:
    """Answer lines until there are no more."""
    with httpx.Client(timeout=None) as client:
        while True:
            print("Write a message: ", end="", flush=True)
            if not (question := sys.stdin.readline()):
                return
            answer(client, url, question.strip())
            print()


if __name__ == "__main__":
    main(sys.argv[1])
