"""A client with nothing in it: what a server's replies take on this machine at this moment."""

from __future__ import annotations

import json
import socket
import time
from statistics import median


def first_token_ms(port: int, model: str, count: int) -> float:
    """Median milliseconds from the last byte sent to the first byte of streamed replies, one after another."""
    body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "bare"}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    found = []
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for _ in range(count):
            connection.sendall(head.encode() + body)
            sent = time.monotonic()
            data = connection.recv(65536)
            found.append((time.monotonic() - sent) * 1000)
            while b"[DONE]" not in data:
                data = connection.recv(65536)
    return median(found)
