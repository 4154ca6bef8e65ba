"""One message of the transcript as sections of lines: attachments, reasoning, the text's blocks, notes below it."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Protocol

from holychat.domain.chat import MessageState, Role
from holychat.text import clean
from holychat.tui.markdown.block import CodeBlock, PlainBlock
from holychat.tui.markdown.body import MarkdownBody
from holychat.tui.markdown.lines import width_of
from holychat.tui.widgets.transcript_notes import WAITING, attachment_notes, closing_notes, reasoning_title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.domain.chat import Message
    from holychat.tui.markdown.block import Block
    from holychat.tui.markdown.lines import Line
    from holychat.tui.markdown.look import Look

_PLAIN_SLICE = 4096


class Section(Protocol):
    """Something that can be laid out to lines, and knows or guesses how many."""

    def height(self, width: int) -> int:
        """Number of lines: exact once laid out at this width, else a guess."""
        ...

    def is_measured(self, width: int, look: Look) -> bool:
        """Whether `height` is exact."""
        ...

    def lines(self, width: int, look: Look) -> list[Line]:
        """The lines."""
        ...

    def release(self) -> None:
        """Forget the lines, not their number."""
        ...


class Entry:
    """A message in the transcript.

    Attributes:
        message: The message as it was last told; text that streams is in the bodies, not here.
        folded: Whether reasoning is folded to one line.
    """

    def __init__(self, message: Message) -> None:
        self.message = message
        self.folded = message.state is not MessageState.STREAMING or bool(message.text)
        self.selected_code: CodeBlock | None = None
        self._note = ""
        self._text: MarkdownBody | None = None
        self._reasoning: MarkdownBody | None = None
        self._reasoning_length = len(message.reasoning)
        self._plain: Sequence[PlainBlock] | None = None
        self._head: list[Section] | None = None
        self._foot: list[Section] | None = None
        self._sections: list[Section] | None = None
        self._reasoning_span = range(0)
        self._tops: list[int] = [0]
        self._known = 0
        self._width = 0
        self._begun = False
        """Whether text arrived here."""
        self._guess = (0, 0)
        """Width and the number of lines guessed for it."""

    # --- what it holds --------------------------------------------------------------------------------------------

    @property
    def is_streaming(self) -> bool:
        """Whether text may still be added."""
        return self.message.state is MessageState.STREAMING

    @property
    def is_user(self) -> bool:
        """Whether the person said it."""
        return self.message.role is Role.USER

    def append_text(self, delta: str) -> None:
        """Take more of the answer; `advance` works it in."""
        if not self._begun:
            self._begun = self.folded = True
            self._reset()
        self._body().feed(delta)

    def append_reasoning(self, delta: str) -> None:
        """Take more reasoning."""
        if not self._reasoning_length:
            self._reset()
        self._reasoning_length += len(delta)
        self._thoughts().feed(delta)

    def advance(self) -> bool:
        """Work in one slice of what was taken. Returns whether more is waiting."""
        more = False
        for body in (self._reasoning, self._text):
            if body is not None and body.waiting:
                more = body.advance() or more
                self._grown()
        return more

    def set_note(self, text: str) -> None:
        """A line below the streaming text, such as "retry 2 of 3 in 1.5 s"."""
        self._note = clean(text)
        self._reset()

    def finish(self, message: Message) -> None:
        """The turn is over: close what is open, show what the message says of itself."""
        self.message = message
        self._note = ""
        if self._text is not None:
            self._text.finish()
        if self._reasoning is not None:
            self._reasoning.finish()
        self._reset()

    def fold(self) -> bool:
        """Fold or unfold the reasoning. Returns whether there is any."""
        if not self._reasoning_length:
            return False
        self.folded = not self.folded
        self._reset()
        return True

    def code_blocks(self) -> list[CodeBlock]:
        """The code blocks of the text, in order."""
        return [block for block in self._body().blocks if isinstance(block, CodeBlock)]

    @property
    def is_waiting(self) -> bool:
        """Whether it streams and nothing has come yet."""
        return self.is_streaming and not self._reasoning_length and not (self.message.text or self._begun)

    # --- where its lines are --------------------------------------------------------------------------------------

    def height(self, width: int) -> int:
        """Lines of the entry with the empty line below it; a guess as long as nothing was laid out."""
        if self._sections is None:
            return self._estimate(width)
        self._measure_tops(width)
        return self._tops[-1] + 1

    def measure(self, top: int, bottom: int, width: int, look: Look) -> bool:
        """Lay out what lies between two of its lines. Returns whether its height has changed."""
        before = self.height(width)
        sections = self._measure_tops(width)
        index = max(bisect_right(self._tops, max(top, 0)) - 1, 0)
        while index < len(sections) and self._tops[index] < bottom:
            section = sections[index]
            own_look = self._look_of(index, look)
            if not section.is_measured(width, own_look):
                section.lines(width, own_look)
                self._known = min(self._known, index)
                self._measure_tops(width)
            index += 1
        return self.height(width) != before

    def line(self, y: int, width: int, look: Look) -> tuple[Line | None, Section | None]:
        """The line at `y` and its section; None for the empty ones between blocks."""
        sections = self._measure_tops(width)
        index = bisect_right(self._tops, y) - 1
        if not 0 <= index < len(sections):
            return None, None
        section = sections[index]
        lines = section.lines(width, self._look_of(index, look))
        row = y - self._tops[index] - self._lead(sections, index, len(lines))
        return (lines[row], section) if 0 <= row < len(lines) else (None, section)

    def first_change(self, width: int) -> int:
        """The first line that `advance` may have changed since the lines were last looked at."""
        return self._tops[self._known] if self._width == width and self._known < len(self._tops) else 0

    def top_of(self, wanted: Section, width: int) -> int:
        """The first line of a section."""
        sections = self._measure_tops(width)
        for index, section in enumerate(sections):
            if section is wanted:
                return self._tops[index]
        return 0

    def section_at(self, y: int, width: int) -> tuple[Section | None, int, int]:
        """The section at `y`, its first line and its height."""
        if self._sections is None:
            return None, 0, self._estimate(width)
        sections = self._measure_tops(width)
        index = bisect_right(self._tops, y) - 1
        if not 0 <= index < len(sections):
            return None, self._tops[-1], 1
        return sections[index], self._tops[index], self._tops[index + 1] - self._tops[index]

    def release(self) -> None:
        """Forget the lines: the entry is far from what is visible."""
        for section in self._sections or ():
            section.release()

    # --- inside ---------------------------------------------------------------------------------------------------

    def _body(self) -> MarkdownBody:
        if self._text is None:
            self._text = self._load(self.message.text)
        return self._text

    def _thoughts(self) -> MarkdownBody:
        if self._reasoning is None:
            self._reasoning = self._load(self.message.reasoning)
        return self._reasoning

    def _load(self, text: str) -> MarkdownBody:
        body = MarkdownBody()
        if text:
            body.feed(text)
        if self.is_streaming:
            while body.advance():
                pass
        else:
            body.finish()
        return body

    def _build(self) -> list[Section]:
        if self._sections is not None:
            return self._sections
        if self._head is None:
            self._head = list(attachment_notes(self.message))
            if self._reasoning_length:
                self._head.append(reasoning_title(self._reasoning_length, folded=self.folded))
        if self._foot is None:
            self._foot = list(closing_notes(self.message, self._note or (WAITING if self.is_waiting else "")))
        thoughts = self._thoughts().blocks if self._reasoning_length and not self.folded else []
        self._reasoning_span = range(len(self._head), len(self._head) + len(thoughts))
        self._sections = [*self._head, *thoughts, *self._text_blocks(), *self._foot]
        return self._sections

    def _text_blocks(self) -> Sequence[Block]:
        if not self.is_user:
            return self._body().blocks
        if self._plain is None:
            self._plain = _plain_blocks(self.message.text, joined=bool(self.message.attachments))
        return self._plain

    def _reset(self) -> None:
        """Anything may have changed."""
        self._sections = self._head = self._foot = None
        self._known = 0

    def _grown(self) -> None:
        """Text was worked in: blocks were added, and at most the last two of those before have changed."""
        if self._sections is not None:
            foot = len(self._foot or ())
            self._known = min(self._known, max(len(self._sections) - foot - 2, 0))
            self._sections = None

    def _measure_tops(self, width: int) -> list[Section]:
        """The sections, with `_tops` made right from the first one that has changed."""
        sections, tops = self._build(), self._tops
        if width != self._width:
            self._width, self._known = width, 0
        if self._known < len(sections) or len(tops) != len(sections) + 1:
            self._known = min(self._known, len(sections))
            del tops[self._known + 1 :]
            top = tops[-1]
            for index in range(self._known, len(sections)):
                height = sections[index].height(width)
                top += height + self._lead(sections, index, height)
                tops.append(top)
            self._known = len(sections)
        return sections

    @staticmethod
    def _lead(sections: Sequence[Section], index: int, height: int) -> int:
        """Empty lines before a section: one between blocks, none before the first and inside a person's own text."""
        if index == 0 or height == 0:
            return 0
        section = sections[index]
        return 0 if isinstance(section, PlainBlock) and section.joined else 1

    def _look_of(self, index: int, look: Look) -> Look:
        return look.muted() if index in self._reasoning_span else look

    def _estimate(self, width: int) -> int:
        if self._guess[0] != width:
            self._guess = (width, self._guessed_lines(width))
        return self._guess[1]

    def _guessed_lines(self, width: int) -> int:
        text = self.message.text
        lines = sum(1 + width_of(line) // max(width, 1) for line in text.splitlines()) if len(text) < 20_000 else 0
        return (lines or len(text) // max(width - 10, 10)) + 2


def _plain_blocks(text: str, *, joined: bool) -> Sequence[PlainBlock]:
    """A person's own text as it was typed, in slices, so that a huge paste is laid out only where it is looked at."""
    blocks: list[PlainBlock] = []
    gathered: list[str] = []
    size = 0
    for line in clean(text).rstrip("\n").split("\n"):
        gathered.append(line)
        size += len(line)
        if size > _PLAIN_SLICE:
            blocks.append(PlainBlock.of("\n".join(gathered), "foreground", "user", joined=joined or bool(blocks)))
            gathered, size = [], 0
    if gathered:
        blocks.append(PlainBlock.of("\n".join(gathered), "foreground", "user", joined=joined or bool(blocks)))
    return blocks
