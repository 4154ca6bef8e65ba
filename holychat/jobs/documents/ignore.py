"""What .gitignore files leave out, by git's own rules: a file's rules hold for its folder and everything below."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.jobs.documents.opening import opened, read_up_to
from holychat.jobs.documents.problems import DocumentProblem

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_NAME = ".gitignore"
_LARGEST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one folder and of those above it."""

    folder: str
    """Absolute path that the patterns are relative to."""
    spec: GitIgnoreSpec
    above: Rules | None = None

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Whether an absolute path below the folder is left out. The folders on the way are taken to be let in."""
        rules: Rules | None = self
        while rules is not None:
            relative = path[len(rules.folder.rstrip("/")) + 1 :]
            decided = rules.spec.check_file(f"{relative}/" if is_folder else relative).include
            if decided is not None:
                return decided
            rules = rules.above
        return False


def rules_of(folder: str, above: Rules | None) -> Rules | None:
    """The rules inside a folder: its own .gitignore, if there is one that can be read, and those above."""
    try:
        with opened(os.path.join(folder, _NAME)) as (descriptor, _):
            data = read_up_to(descriptor, _LARGEST)
    except DocumentProblem:
        return above
    spec = _spec(data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").splitlines())
    return above if spec is None else Rules(folder, spec, above)


def rules_above(folder: str) -> Rules | None:
    """The rules that hold for a folder that was named: those of its repository, from its top down to above the folder.

    Somebody who names a folder that its repository ignores means it: then none of them hold.
    """
    top = _repository(folder)
    if top is None or top == folder:
        return None
    rules: Rules | None = None
    here = top
    for name in os.path.relpath(folder, top).split(os.sep):
        rules = rules_of(here, rules)
        here = os.path.join(here, name)
        if rules is not None and rules.ignores(here, is_folder=True):
            return None
    return rules


def _repository(folder: str) -> str | None:
    here = folder
    while True:
        if os.path.lexists(os.path.join(here, ".git")):
            return here
        up = os.path.dirname(here)
        if up == here:
            return None
        here = up


def _spec(lines: list[str]) -> GitIgnoreSpec | None:
    from pathspec import GitIgnoreSpec

    def made(some: list[str]) -> GitIgnoreSpec | None:
        try:
            return GitIgnoreSpec.from_lines(some, backend="simple")
        except ValueError:
            return None

    if not any(line.strip() and not line.startswith("#") for line in lines):
        return None
    # git passes over a pattern that makes no sense; the library refuses the whole file for it.
    return made(lines) or made([line for line in lines if made([line]) is not None])
