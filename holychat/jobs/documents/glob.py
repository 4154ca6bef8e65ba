"""Patterns of file names: `*`, `?` and `[…]` within a name, `**` for any number of folders."""

from __future__ import annotations

import fnmatch
import os
import re
from dataclasses import dataclass

_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """The part of a pattern from its first `*` on, name by name."""

    parts: tuple[re.Pattern[str] | None, ...]
    """None stands for `**`."""
    names_hidden: bool
    """Whether the pattern itself names something that begins with a dot."""

    @property
    def start(self) -> frozenset[int]:
        """The places in the pattern before any name."""
        return self._with_skipped((0,))

    def after(self, places: frozenset[int], name: str) -> frozenset[int]:
        """The places that are reached from `places` by going on to `name`; none: it does not match."""
        reached = []
        for place in places:
            if place < len(self.parts):
                part = self.parts[place]
                if part is None:
                    reached.append(place)
                elif part.match(name):
                    reached.append(place + 1)
        return self._with_skipped(reached)

    def ends(self, places: frozenset[int]) -> bool:
        """Whether a file may stand here."""
        return len(self.parts) in places

    def goes_on(self, places: frozenset[int]) -> bool:
        """Whether anything below a folder may match."""
        return any(place < len(self.parts) for place in places)

    def _with_skipped(self, places: tuple[int, ...] | list[int]) -> frozenset[int]:
        """`**` may stand for no folder at all."""
        reached = set(places)
        for place in places:
            while place < len(self.parts) and self.parts[place] is None:
                place += 1
                reached.add(place)
        return frozenset(reached)


def has_magic(text: str) -> bool:
    """Whether something is a pattern and not a name."""
    return bool(_MAGIC.search(text))


def parsed(pattern: str) -> tuple[str, Pattern]:
    """(folder to walk, pattern below it) of an absolute pattern."""
    names = [name for name in pattern.split(os.sep) if name]
    fixed = next((place for place, name in enumerate(names) if has_magic(name)), max(0, len(names) - 1))
    folder = os.sep + os.sep.join(names[:fixed])
    parts: list[re.Pattern[str] | None] = []
    for name in names[fixed:]:
        if name != "**":
            parts.append(re.compile(fnmatch.translate(name)))
        elif not parts or parts[-1] is not None:
            parts.append(None)
    return folder, Pattern(tuple(parts), any(name.startswith(".") for name in names[fixed:]))
