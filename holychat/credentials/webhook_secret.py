"""The secret that webhooks are signed with: on the same ladder as keys, under the name "webhook".

Its form is that of Standard Webhooks: "whsec_" and 24 to 64 bytes in base64.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import TYPE_CHECKING

from holychat.domain.request import ProviderInfo
from holychat.errors import UsageError

if TYPE_CHECKING:
    from holychat.credentials.secret import Secret

WEBHOOK = ProviderInfo("webhook", "webhook", "", "", needs_key=True)
"""What the ladder is asked for. No provider of the settings can have this name."""

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64
_HINT = "`holychat keys set webhook --new` makes one, keeps it in the keyring and shows it once, for the receiver."


def new_webhook_secret() -> str:
    """A secret of 32 random bytes, as text."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signing_key(secret: Secret) -> bytes:
    """The bytes that sign.

    Raises:
        UsageError: It is no webhook secret; the message does not repeat it.
    """
    text = secret.reveal().removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise UsageError(
            f'The webhook secret is not "whsec_" followed by {_SHORTEST} to {_LONGEST} bytes in base64', _HINT
        )
    return key


def no_webhook_secret() -> UsageError:
    """The error where no rung of the ladder has a secret."""
    return UsageError("There is no secret to sign webhooks with", f"{_HINT} HOLYCHAT_WEBHOOK_SECRET works as well.")
