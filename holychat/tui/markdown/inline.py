"""Inline Markdown tokens as runs of styled text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from holychat.text import delete_unsafe
from holychat.tui.markdown import look as flag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

    from holychat.tui.markdown.lines import Run
    from holychat.tui.markdown.look import Look

_URL = re.compile(r"https?://[^\s<>\"'`|\\^{}\[\]]+[^\s<>\"'`|\\^{}\[\].,;:!?)]")
_OPENING = {"strong_open": flag.STRONG, "em_open": flag.EMPHASIS, "s_open": flag.STRIKE}
_CLOSING = {"strong_close": flag.STRONG, "em_close": flag.EMPHASIS, "s_close": flag.STRIKE}


def runs_of(tokens: Sequence[Token], look: Look, flags: int = 0, background: str = "background") -> list[Run]:
    """Runs of text for the children of an inline token; a hard break is a run of one line feed."""
    runs: list[Run] = []
    href = ""
    for token in tokens:
        kind = token.type
        if kind == "text":
            _add_text(runs, delete_unsafe(token.content), look, flags, href, background)
        elif kind == "softbreak":
            runs.append((" ", look.inline(flags, background)))
        elif kind == "hardbreak":
            runs.append(("\n", look.inline(flags, background)))
        elif kind == "code_inline":
            style = look.inline(flags | flag.CODE, background)
            runs.append((token.content, look.link(flags | flag.CODE, href, background) if href else style))
        elif kind in _OPENING:
            flags |= _OPENING[kind]
        elif kind in _CLOSING:
            flags &= ~_CLOSING[kind]
        elif kind == "link_open":
            href = str(token.attrGet("href") or "")
        elif kind == "link_close":
            href = ""
        elif kind == "image":
            target = str(token.attrGet("src") or "")
            label = f"[image: {delete_unsafe(token.content) or target}]"
            runs.append((label, look.link(flags, target, background)))
        else:
            runs.append((delete_unsafe(token.content), look.inline(flags, background)))
    return runs


def _add_text(runs: list[Run], text: str, look: Look, flags: int, href: str, background: str) -> None:
    if href:
        runs.append((text, look.link(flags, href, background)))
        return
    style = look.inline(flags, background)
    if "://" not in text:
        runs.append((text, style))
        return
    end = 0
    for match in _URL.finditer(text):
        runs.append((text[end : match.start()], style))
        runs.append((match.group(), look.link(flags, match.group(), background)))
        end = match.end()
    runs.append((text[end:], style))
