"""One line of facts: who answers, with which key, how fast, for how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from holychat.catalog.money import money_text
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.style import Style
    from textual.visual import VisualType

    from holychat.domain.usage import ContextUse, Cost


@dataclass(frozen=True, slots=True)
class Facts:
    """What the status line can show; empty or None is left out."""

    provider: str = ""
    model: str = ""
    key: str = ""
    """Where the key comes from, in a word or two."""
    state: str = ""
    """What is going on, for example "waiting…"."""
    first_token_ms: int | None = None
    tokens_per_second: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    estimated: bool = False
    """Whether the tokens were counted by us while the provider had not reported them."""
    cost: Cost | None = None
    context: ContextUse | None = None
    """How full the model's context is with the next request."""


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    style: str
    rank: int
    """The higher, the sooner it goes when there is no room."""


_STYLES = ("name", "muted", "live", "warning")


class StatusLine(Widget):
    """Fixed height, cheap to change: no layout, one line painted."""

    COMPONENT_CLASSES = {"status--name", "status--muted", "status--live", "status--warning"}  # noqa: RUF012

    facts: reactive[Facts] = reactive(Facts(), repaint=False)

    def watch_facts(self, old: Facts, new: Facts) -> None:
        """Paint only what reads differently; a rate has more digits than are shown."""
        if _texts(old) != _texts(new):
            self.refresh()

    def render(self) -> VisualType:
        """Provider and model to the left, measurements to the right; the least important go first when it is narrow."""
        left, right = fit(left_pieces(self.facts), right_pieces(self.facts), self.size.width)
        styles = {
            name: self.get_component_rich_style(f"status--{name}") for name in ("name", "muted", "live", "warning")
        }
        line = Text(no_wrap=True, overflow="ellipsis")
        _join(line, left, styles)
        tail = Text()
        _join(tail, right, styles)
        line.append(" " * max(1, self.size.width - line.cell_len - tail.cell_len))
        line.append_text(tail)
        return line


_GAP = " · "
_BAR = 8
"""Cells of the bar of the model's context."""
_NEARLY_FULL = 80
"""Per cent of it from which it is a warning."""


def _join(line: Text, pieces: list[_Piece], styles: Mapping[str, Style]) -> None:
    for index, piece in enumerate(pieces):
        if index:
            line.append(_GAP, styles["muted"])
        line.append(piece.text, styles[piece.style])


def _texts(facts: Facts) -> list[str]:
    return [piece.text for piece in (*left_pieces(facts), *right_pieces(facts))]


def left_pieces(facts: Facts) -> list[_Piece]:
    """Who answers."""
    pieces = []
    if facts.model:
        pieces.append(_Piece(clean_line(facts.model, 40), "name", 0))
    if facts.provider:
        pieces.append(_Piece(clean_line(facts.provider, 24), "muted", 4))
    if facts.key:
        pieces.append(_Piece(clean_line(facts.key, 32), "warning" if facts.key == "no key" else "muted", 6))
    return pieces


def right_pieces(facts: Facts) -> list[_Piece]:
    """How it went."""
    about = "~" if facts.estimated else ""
    pieces = []
    if facts.state:
        pieces.append(_Piece(facts.state, "live", 1))
    if facts.first_token_ms is not None:
        pieces.append(_Piece(f"first token {facts.first_token_ms / 1000:.2f} s", "muted", 5))
    if facts.tokens_per_second is not None:
        pieces.append(_Piece(f"{about}{facts.tokens_per_second:,.0f} tok/s", "muted", 3))
    if facts.input_tokens is not None or facts.output_tokens is not None:
        given = f"{about}{_count(facts.input_tokens)} in " if facts.input_tokens is not None else ""
        pieces.append(_Piece(f"{given}{about}{_count(facts.output_tokens)} out", "muted", 2))
    if money := money_text(facts.cost):
        pieces.append(_Piece(money, "muted", 2))
    if facts.context is not None:
        full = facts.context.percent >= _NEARLY_FULL
        pieces.append(_Piece(_context_bar(facts.context), "warning" if full else "muted", 1 if full else 4))
    return pieces


def _context_bar(use: ContextUse) -> str:
    """A heavy line for what is taken of a light one."""
    filled = min(_BAR, use.percent * _BAR // 100)
    return f"{'━' * filled}{'─' * (_BAR - filled)} {use.percent} %"


def _count(tokens: int | None) -> str:
    if tokens is None:
        return "?"
    return f"{tokens:,}" if tokens < 10_000 else f"{tokens / 1000:,.1f}k"


def fit(left: list[_Piece], right: list[_Piece], width: int) -> tuple[list[_Piece], list[_Piece]]:
    """The pieces that fit in `width` cells, the highest rank dropped first."""
    from rich.cells import cell_len

    def cells(pieces: list[_Piece]) -> int:
        return sum(cell_len(piece.text) for piece in pieces) + len(_GAP) * max(0, len(pieces) - 1)

    left, right = list(left), list(right)
    while (left or right) and cells(left) + cells(right) + 2 > width:
        worst = max((*left, *right), key=lambda piece: piece.rank)
        if worst.rank == 0:
            break
        (left if worst in left else right).remove(worst)
    return left, right
