"""The two themes of holychat: warm gold on night blue, and the same on paper.

Text on its background reaches a contrast of 7:1, muted text 4.5:1. Everything else is written in theme variables, so
that any other Textual theme (`[ui] theme = "nord"`) works as well.
"""

from __future__ import annotations

from textual.theme import BUILTIN_THEMES, Theme

from holychat.errors import SettingsError

DARK = Theme(
    name="holychat-dark",
    primary="#e3b562",
    secondary="#7fb4d6",
    accent="#d98e73",
    warning="#e0a458",
    error="#ec7a75",
    success="#8fc489",
    foreground="#e4e1d8",
    background="#12151c",
    surface="#191d26",
    panel="#222834",
    dark=True,
    variables={
        "border": "#e3b562",
        "border-blurred": "#3a4252",
        "muted": "#9199a8",
        "block-cursor-background": "#e3b562",
        "block-cursor-foreground": "#12151c",
        "block-cursor-text-style": "none",
        "input-cursor-background": "#e3b562",
        "input-cursor-foreground": "#12151c",
        "input-selection-background": "#e3b562 30%",
        "screen-selection-background": "#e3b562 35%",
        "scrollbar": "#39414f",
        "scrollbar-hover": "#566076",
        "scrollbar-active": "#e3b562",
        "scrollbar-background": "#12151c",
        "scrollbar-background-hover": "#12151c",
        "scrollbar-background-active": "#12151c",
    },
)

LIGHT = Theme(
    name="holychat-light",
    primary="#8a5a00",
    secondary="#1d6187",
    accent="#a8452a",
    warning="#935a00",
    error="#b3261e",
    success="#2f6b2f",
    foreground="#24272e",
    background="#fbf9f4",
    surface="#f3efe6",
    panel="#e9e3d6",
    dark=False,
    variables={
        "border": "#8a5a00",
        "border-blurred": "#cfc6b3",
        "muted": "#666055",
        "block-cursor-background": "#8a5a00",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-text-style": "none",
        "input-cursor-background": "#8a5a00",
        "input-cursor-foreground": "#ffffff",
        "input-selection-background": "#8a5a00 25%",
        "screen-selection-background": "#8a5a00 25%",
        "scrollbar": "#cfc6b3",
        "scrollbar-hover": "#b3a88f",
        "scrollbar-active": "#8a5a00",
        "scrollbar-background": "#fbf9f4",
        "scrollbar-background-hover": "#fbf9f4",
        "scrollbar-background-active": "#fbf9f4",
    },
)


def check_theme(name: str) -> str:
    """The name of a theme that there is.

    Raises:
        SettingsError: There is none of that name.
    """
    known = sorted({*BUILTIN_THEMES, DARK.name, LIGHT.name})
    if name not in known:
        raise SettingsError(f'config.toml [ui] theme: there is no theme "{name}"', f"Known: {', '.join(known)}.")
    return name
