"""Which environment variable holds the key of which provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holychat.settings import Settings

USUAL_VARIABLES = {
    "holysheep": "HOLYSHEEP_API_KEY",
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "webhook": "HOLYCHAT_WEBHOOK_SECRET",
}
"""Variables of the built-in providers and of webhooks. No provider ever looks at the variable of another one."""


def key_variable(settings: Settings, name: str) -> str:
    """The variable for a provider's key: `key_env` of its settings, else its usual one, else "" (there is none)."""
    own = settings.providers.get(name)
    return (own.key_env if own else "") or USUAL_VARIABLES.get(name, "")
