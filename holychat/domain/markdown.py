"""Text that is put into a Markdown document and stays what it is there."""

from __future__ import annotations

import re

from holychat.text import clean_line

_FENCES = re.compile(r"`{3,}|~{3,}")


def inline(text: str, limit: int = 200) -> str:
    """Text as one clean line that Markdown shows as it stands, at most `limit` characters before escaping."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", clean_line(text, limit))


def fenced(text: str) -> str:
    """Text as a code block that it cannot break out of."""
    longest = max((len(run) for run in _FENCES.findall(text) if run[0] == "`"), default=2)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.rstrip(chr(10))}\n{fence}"


def closed(text: str) -> str:
    """Markdown with a fence at its end closed, so that an answer that broke off does not swallow what follows."""
    fence = ""
    for line in text.splitlines():
        bare = line.strip()
        run = _FENCES.match(bare)
        if not fence and run:
            fence = run.group()
        elif fence and run and bare == run.group() and bare[0] == fence[0] and len(bare) >= len(fence):
            fence = ""
    return f"{text}\n{fence}" if fence else text
