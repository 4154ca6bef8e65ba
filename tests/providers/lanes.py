"""Short ways to send over a lane in the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from holychat.domain.request import ProviderInfo, RawReply
from holychat.errors import (
    ProviderError,
)  # fmt: skip
from holychat.log import Masker
from holychat.providers.openai import OpenAIProvider
from holychat.settings import NetworkSettings
from tests.providers.tools import KEY, REQUEST, FakeSecret

CERTIFICATE = Path(__file__).with_name("self_signed.pem")
JSON = {"content-type": "application/json"}


def laned(
    base_url: str, *, key: object = KEY, connect: float = 5.0, seconds: float | None = None, needs_key: bool = True
) -> OpenAIProvider:
    info = ProviderInfo("test", "openai", base_url, "test-model", needs_key)
    secret = FakeSecret(key) if isinstance(key, str) else key
    made = OpenAIProvider(
        info,
        key=secret,  # type: ignore[arg-type]
        network=NetworkSettings(connect_timeout=connect),
        masker=Masker(),
        connections=20,
    )
    if seconds is not None:
        assert made._road is not None
        made._road._seconds = seconds
    return made


async def send(base_url: str, **how: object) -> RawReply:
    asked = laned(base_url, **how)  # type: ignore[arg-type]
    try:
        return await asked.send(REQUEST)
    finally:
        await asked.aclose()


async def error_of(base_url: str, **how: object) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await send(base_url, **how)
    error = caught.value
    assert error.__context__ is None, "an exception of the HTTP layer hangs on the error"
    assert error.provider == "test"
    assert KEY not in f"{error}{error!r}"
    return error
