"""Highlighting of code that grows line by line.

Pygments' own loop starts at the first line each time. Here the lexer's state stack is kept between lines, so that a
line is highlighted once however long the block becomes. A construct that one regular expression matches over several
lines (a C comment) may be coloured wrongly until the block is closed; `Highlighter.uncertain` tells so.
"""

from __future__ import annotations

import re
from copy import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holychat.tui.markdown.lines import Run
    from holychat.tui.markdown.look import Look

_LONGEST_LINE = 5_000
_SPANNING = re.compile(r"/\*|<!--|\(\*|\{-|<<<?['\"]?\w")


class Highlighter:
    """Turns the lines of one code block into runs, in order."""

    def __init__(self, language: str, look: Look) -> None:
        self._look = look
        self._lexer = _lexer_for(language)
        self._stack = ["root"]
        self._can_go_on = _keeps_plain_state(self._lexer)
        self.uncertain = self._lexer is not None and not self._can_go_on
        """True once a construct was seen that may have been cut between two calls."""

    def lines(self, text: str) -> list[list[Run]]:
        """Runs for each line of `text` (whole lines, the last one may be without its end)."""
        source_lines = text.split("\n")
        if self._lexer is None or max(map(len, source_lines)) > _LONGEST_LINE:
            plain = self._look.style("foreground", "code")
            return [[(line, plain)] for line in source_lines]
        if not self.uncertain and _SPANNING.search(text):
            self.uncertain = True
        result: list[list[Run]] = [[]]
        style_of = self._look.token
        for token_type, value in self._tokens(text + "\n"):
            style = style_of(token_type)
            if "\n" not in value:
                result[-1].append((value, style))
                continue
            first, *rest = value.split("\n")
            result[-1].append((first, style))
            result.extend([(part, style)] for part in rest)
        result.pop()
        return result

    def copy(self) -> Highlighter:
        """A highlighter that goes on from here without touching this one."""
        twin = copy(self)
        twin._stack = [*self._stack]  # noqa: SLF001  our own twin
        return twin

    def _tokens(self, text: str) -> Iterator[tuple[Any, str]]:
        assert self._lexer is not None
        if self._can_go_on:
            yield from _run(self._lexer, self._lexer._tokens, text, self._stack)  # noqa: SLF001  no public way
            return
        for _, token_type, value in self._lexer.get_tokens_unprocessed(text):
            yield token_type, value


def _run(lexer: Any, rules_of: dict[str, Any], text: str, stack: list[str]) -> Iterator[tuple[Any, str]]:
    """The state machine of Pygments' regular-expression lexers, with a stack that the caller keeps."""
    from pygments.token import Error, Whitespace

    position, end = 0, len(text)
    while position < end:
        for matches, action, new_state in rules_of[stack[-1]]:
            match = matches(text, position)
            if match is None:
                continue
            if action is not None:
                if type(action) is type(Error):
                    yield action, match.group()
                else:
                    for _, token_type, value in action(lexer, match):
                        yield token_type, value
            position = match.end()
            if new_state is not None:
                _change_state(stack, new_state)
            break
        else:
            if text[position] == "\n":
                stack[:] = ["root"]
                yield Whitespace, "\n"
            else:
                yield Error, text[position]
            position += 1


def _change_state(stack: list[str], change: Any) -> None:
    if isinstance(change, tuple):
        for state in change:
            _change_state(stack, state)
    elif isinstance(change, int):
        del stack[change if abs(change) < len(stack) else 1 :]
    elif change == "#push":
        stack.append(stack[-1])
    elif change == "#pop":
        if len(stack) > 1:
            stack.pop()
    else:
        stack.append(change)


def _keeps_plain_state(lexer: Any | None) -> bool:
    """Whether the lexer runs on Pygments' plain state machine, whose whole state is its stack."""
    if lexer is None:
        return False
    from pygments.lexer import ExtendedRegexLexer, RegexLexer

    own = type(lexer).get_tokens_unprocessed
    return own is RegexLexer.get_tokens_unprocessed and not isinstance(lexer, ExtendedRegexLexer)


def _lexer_for(language: str) -> Any | None:
    name = language.strip().lower()
    if not name or name in ("text", "plain", "plaintext", "txt"):
        return None
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
