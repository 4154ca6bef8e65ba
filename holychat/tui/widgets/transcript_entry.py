"""One message of the transcript as sections of lines: attachments, reasoning, the text's blocks, notes below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.domain.chat import MessageState, Role
from holychat.text import clean
from holychat.tui.markdown.block import CodeBlock, PlainBlock
from holychat.tui.markdown.body import MarkdownBody
from holychat.tui.markdown.lines import width_of
from holychat.tui.widgets.transcript_notes import WAITING, attachment_notes, closing_notes, reasoning_title
from holychat.tui.widgets.transcript_sections import SectionStack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.domain.chat import Message
    from holychat.tui.markdown.block import Block
    from holychat.tui.markdown.lines import Line
    from holychat.tui.markdown.look import Look
    from holychat.tui.widgets.transcript_sections import Section

_PLAIN_SLICE = 4096


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
        self._around: tuple[list[PlainBlock], list[PlainBlock]] | None = None
        self._stack: SectionStack | None = None
        self._stale = self._fresh = True
        self._kept = 0
        """Sections that are as they were when the stack was last made."""
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
                self._grown(in_the_middle=body is self._reasoning and self._begun)
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

    def retell(self, message: Message) -> None:
        """The text is the same, what is said around it is not."""
        self.message = message
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
        return self._estimate(width) if self.is_guessed else self._sections().height(width) + 1

    @property
    def is_guessed(self) -> bool:
        """Whether nothing of it was laid out yet."""
        return self._stack is None

    def measure(self, top: int, bottom: int, width: int, look: Look) -> bool:
        """Lay out what lies between two of its lines. Returns whether its height has changed."""
        before = self.height(width)
        self._sections().measure(top, bottom, width, look)
        return self.height(width) != before

    def line(self, y: int, width: int, look: Look) -> tuple[Line | None, Section | None]:
        """The line at `y` and its section; None for the empty ones between blocks."""
        return self._sections().line(y, width, look)

    def first_change(self, width: int) -> int:
        """The first line that looks different since this was last asked."""
        fresh, self._fresh = self._fresh, False
        sections = self._sections()
        return 0 if fresh else sections.first_change(width)

    def top_of(self, wanted: Section, width: int) -> int:
        """The first line of a section."""
        return self._sections().top_of(wanted, width)

    def section_at(self, y: int, width: int) -> tuple[Section | None, int, int]:
        """The section at `y`, its first line and its height."""
        return (None, 0, self._estimate(width)) if self.is_guessed else self._sections().section_at(y, width)

    def release(self) -> None:
        """Forget the lines: the entry is far from what is visible."""
        if self._stack is not None:
            self._stack.release()

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

    def _sections(self) -> SectionStack:
        if self._stack is None:
            self._stack = SectionStack()
        elif not self._stale:
            return self._stack
        head, foot = self._notes()
        thoughts = self._thoughts().blocks if self._reasoning_length and not self.folded else []
        muted = range(len(head), len(head) + len(thoughts))
        self._stack.replace([*head, *thoughts, *self._text_blocks(), *foot], muted, self._kept)
        self._stale, self._kept = False, len(self._stack.sections)
        return self._stack

    def _notes(self) -> tuple[list[PlainBlock], list[PlainBlock]]:
        """What stands above and below the text; made once, so that it is laid out once."""
        if self._around is None:
            head = list(attachment_notes(self.message))
            if self._reasoning_length:
                head.append(reasoning_title(self._reasoning_length, folded=self.folded))
            note = self._note or (WAITING if self.is_waiting else "")
            self._around = head, list(closing_notes(self.message, note))
        return self._around

    def _text_blocks(self) -> Sequence[Block]:
        if not self.is_user:
            return self._body().blocks
        if self._plain is None:
            self._plain = _plain_blocks(self.message.text, joined=bool(self.message.attachments))
        return self._plain

    def _reset(self) -> None:
        """Anything may have changed."""
        self._around = None
        self._stale, self._kept, self._fresh = True, 0, True

    def _grown(self, *, in_the_middle: bool) -> None:
        """Text was worked in: blocks were added, and at most the last two of those before have changed."""
        if in_the_middle:
            self._kept = 0
        elif not self._stale:
            self._kept = max(self._kept - len(self._notes()[1]) - 2, 0)
        self._stale = True

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
