"""Delivers the webhooks of jobs that ended: Standard Webhooks 1.0, out of the outbox in the database.

Whatever happens to a message is written down before the next thing is done with it, so that a worker that is killed
leaves nothing to be forgotten: at worst a receiver gets the same message twice, under the same id.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.credentials.webhook_secret import WEBHOOK, no_webhook_secret, signing_key
from holychat.errors import UsageError
from holychat.providers.outgoing import AddressRefused, DeliveryFailed, post
from holychat.store import webhooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from holychat.credentials.chain import KeyChain
    from holychat.domain.webhooks import Webhook
    from holychat.providers.outgoing import Answer, Reach
    from holychat.store.database import Database

PAUSES = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds between the attempts for one message, as Standard Webhooks recommends; after the last one it is given up."""
_LONGEST_PAUSE = 86_400.0
_WITHOUT_SECRET = 60.0
"""Seconds until it is looked again whether somebody has set a secret."""
_AT_ONCE = 4
_LEASE_MS = 60_000
_GONE = 410


def signed_headers(message_id: str, timestamp: int, body: bytes, key: bytes) -> dict[str, str]:
    """The three headers of a message: https://github.com/standard-webhooks/standard-webhooks, specification 1.0.

    Args:
        message_id: The same for every attempt.
        timestamp: Unix seconds of this attempt.
        body: Exactly what is sent.
        key: The bytes of the secret.
    """
    content = f"{message_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{signature}"}


class Courier:
    """Sends what is due. One per worker; belongs to its event loop.

    Args:
        database: Holds the outbox.
        keychain: Has the secret, under the name "webhook".
        reach: Where messages may go.
        now: Unix time in seconds.

    Attributes:
        can_sign: Whether there was a usable secret when it was last looked for.
    """

    def __init__(
        self, database: Database, keychain: KeyChain, reach: Reach, *, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._keychain = keychain
        self._reach = reach
        self._now = now
        self.can_sign = True

    async def next_due(self) -> float | None:
        """Unix seconds at which the next message is due; None where none waits."""
        due = await self._database.read(webhooks.next_due)
        return None if due is None else due / 1000

    async def deliver_due(self) -> int:
        """Try every message whose time has come, once.

        Returns:
            How many were tried.

        Raises:
            StoreError: The outbox cannot be written; nothing more is sent then.
        """
        tried = 0
        while due := await self._take():
            await asyncio.gather(*(self._deliver(webhook) for webhook in due))
            tried += len(due)
        return tried

    async def _take(self) -> list[Webhook]:
        now_ms = self._now_ms()
        due = await self._database.read(webhooks.next_due)
        if due is None or due > now_ms:
            return []
        return await self._database.write(lambda c: webhooks.take_due(c, now_ms, now_ms + _LEASE_MS, _AT_ONCE))

    async def _deliver(self, webhook: Webhook) -> None:
        secret = (await self._keychain.find(WEBHOOK)).secret
        if secret is None:
            await self._wait_for_secret(webhook, str(no_webhook_secret()))
            return
        try:
            key = signing_key(secret)
        except UsageError as error:
            await self._wait_for_secret(webhook, str(error))
            return
        self.can_sign = True
        body = webhook.payload.encode()
        headers = signed_headers(webhook.message_id, int(self._now()), body, key)
        try:
            answer = await post(webhook.url, body, headers, self._reach)
        except AddressRefused as refused:
            await self._failed(webhook, str(refused), None, None)
        except DeliveryFailed as failure:
            await self._failed(webhook, failure.title, None, self._pause(webhook, None))
        else:
            await self._answered(webhook, answer)

    async def _answered(self, webhook: Webhook, answer: Answer) -> None:
        if 200 <= answer.status < 300:
            await self._database.write(lambda c: webhooks.delivered(c, webhook.id, answer.status, self._now_ms()))
        elif answer.status == _GONE:
            await self._failed(webhook, "The receiver wants no more messages (410)", answer.status, None)
        else:
            told = "a redirect is not followed" if 300 <= answer.status < 400 else "not accepted"
            pause = self._pause(webhook, answer.retry_after)
            await self._failed(webhook, f"The receiver answered {answer.status}: {told}", answer.status, pause)

    async def _failed(self, webhook: Webhook, error: str, status: int | None, pause: float | None) -> None:
        next_ms = None if pause is None else self._now_ms() + round(pause * 1000)
        await self._database.write(lambda c: webhooks.failed(c, webhook, error, status, next_ms))

    async def _wait_for_secret(self, webhook: Webhook, problem: str) -> None:
        self.can_sign = False
        # Nothing was sent, so this was no attempt.
        await self._failed(replace(webhook, attempts=webhook.attempts - 1), problem, None, _WITHOUT_SECRET)

    def _pause(self, webhook: Webhook, asked: float | None) -> float | None:
        """Seconds until the next attempt; None after the last one."""
        if webhook.attempts > len(PAUSES):
            return None
        pause = PAUSES[webhook.attempts - 1] * random.uniform(1.0, 1.2)
        return min(max(pause, asked or 0.0), _LONGEST_PAUSE * 1.2)

    def _now_ms(self) -> int:
        return round(self._now() * 1000)
