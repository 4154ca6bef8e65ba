"""What all tests share: a home of their own, no keyring, no keys, no proxies of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.support.loopback import Loopback
from tests.support.openai_schema import problems

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# How long an example takes says more of what else the machine does than of the code.
settings.register_profile("holychat", deadline=None)
settings.load_profile("holychat")

_KEPT_OUT = (
    "HOLYSHEEP_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HOLYSHEEP_BASE_URL", "OPENAI_BASE_URL",
    "ANTHROPIC_BASE_URL", "HOLYCHAT_PROVIDER", "HOLYCHAT_MODEL", "HOLYCHAT_LOG", "HOLYCHAT_OFFLINE_PACE",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "NO_COLOR", "DBUS_SESSION_BUS_ADDRESS", "HOLYCHAT_WEBHOOK_SECRET",
)  # fmt: skip


@pytest.fixture(autouse=True)
def private_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test away from the person's own history, keys and keyring; returns HOLYCHAT_HOME (not made yet)."""
    home = tmp_path / "holychat-home"
    for name in _KEPT_OUT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOLYCHAT_HOME", str(home))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return home


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    """A scripted HTTP server on 127.0.0.1; see `tests/support/loopback.py`.

    Every request for a reply that holychat sent is held against what OpenAI publishes.
    """
    with Loopback() as server:
        yield server
    for request in server.requests:
        ours = request.headers.get("user-agent", "").startswith("holychat/")
        if ours and request.method == "POST" and request.path.endswith("/chat/completions"):
            assert problems("chat_completion", request.json) == []
