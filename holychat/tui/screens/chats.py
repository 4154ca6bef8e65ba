"""The list of chats: filter while typing, over titles and full text, results of jobs included."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from holychat.domain.search import ResultHit
from holychat.errors import HolychatError
from holychat.text import clean_line
from holychat.tui.framework import SteadyList
from holychat.tui.keymap import bindings
from holychat.tui.screens.dialog import Dialog
from holychat.tui.widgets.filter_input import FilterInput
from holychat.tui.widgets.footer import KeyFooter
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual import events
    from textual.app import ComposeResult

    from holychat.chat.service import ChatService
    from holychat.domain.chat import Chat
    from holychat.domain.search import ChatEntry

_LIMIT = 200
_OF_AN_ENTRY = frozenset({"open", "rename", "delete", "export"})
"""Actions."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The chat to open, and the message that was found in it."""

    chat_id: int
    message_id: int | None = None


@dataclass(frozen=True, slots=True)
class ChosenResult:
    """The result of a job to open."""

    job_id: int
    item_id: int


class ChatList(SteadyList, inherit_bindings=False):
    """The chats that fit; typing goes back to the filter, and Enter is left to the screen, whose footer names it."""

    BINDINGS: ClassVar = [binding for binding in OptionList.BINDINGS if "enter" not in str(getattr(binding, "key", ""))]

    def on_key(self, event: events.Key) -> None:
        """Letters without a meaning here belong to the filter, and so does Up on the first line."""
        box = self.screen.query_one(FilterInput)
        if event.key == "up" and not self.highlighted:
            event.stop()
            event.prevent_default()
            box.focus()
        elif event.is_printable and event.character and event.key not in self.screen.active_bindings:
            event.stop()
            box.focus()
            box.insert_text_at_cursor(event.character)


class ChatsScreen(Dialog[Chosen | ChosenResult]):
    """Answers with the chat, or the result of a job, to open.

    Args:
        chats: Where they are.
        current: Id of the chat on the screen.
        say: Shows a notice.
        deleted: Called after a chat was deleted.
        export: Asks for a file and exports a chat.
    """

    BINDINGS: ClassVar = bindings("chats")

    def __init__(
        self,
        chats: ChatService,
        current: int | None,
        *,
        say: Callable[[str], None],
        deleted: Callable[[int], None],
        renamed: Callable[[int], None],
        export: Callable[[Chat], None],
    ) -> None:
        super().__init__()
        self._chats = chats
        self._current = current
        self._say = say
        self._deleted = deleted
        self._renamed = renamed
        self._export = export
        self._entries: list[ChatEntry | ResultHit] = []
        self._shown_for: str | None = None
        self._open_when_shown = False

    def compose(self) -> ComposeResult:
        """Filter, list, keys."""
        with Vertical(classes="dialog wide"):
            yield Static(Content("Chats"), classes="dialog-title")
            yield FilterInput(placeholder="Search titles and everything that was said", id="filter")
            yield ChatList(markup=False, id="chat-list")
            yield Static(Content(""), id="chat-count", classes="dialog-hint")
        yield KeyFooter()

    def on_resize(self) -> None:
        """Lines are cut to the width, which is known now."""
        self.call_after_refresh(self._refill)

    def _refill(self) -> None:
        start_work(self, "filter", self._fill, self.query_one(ChatList).highlighted or 0)

    async def history_changed(self) -> None:
        """Another process has written: fill the list anew, the mark on the same chat."""
        start_work(self, "filter", self._fill, self.query_one(ChatList).highlighted or 0, self._marked)

    def on_filter_input_list_key(self, event: FilterInput.ListKey) -> None:
        """On to the list."""
        event.stop()
        if event.key in ("down", "pagedown") and self._entries:
            self.query_one(ChatList).focus()

    async def on_input_changed(self, event: Input.Changed) -> None:
        """Look again."""
        event.stop()
        start_work(self, "filter", self._fill)
        self.refresh_bindings()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Open it."""
        event.stop()
        self.action_open()

    async def _fill(self, mark: int = 0, marked: ChatEntry | ResultHit | None = None) -> None:
        text = self.query_one(FilterInput).value
        try:
            chats = await self._chats.list(text, _LIMIT)
            # Behind the chats, because a job can have a hundred thousand of them.
            results = await self._chats.results(text, _LIMIT - len(chats)) if text.strip() else []
        except HolychatError as error:
            self._say(str(error))
            return
        entries: list[ChatEntry | ResultHit] = [*chats, *results]
        self._entries = entries
        if marked is not None:
            mark = next((at for at, entry in enumerate(entries) if _same(entry, marked)), mark)
        options = self.query_one(ChatList)
        width = max(20, options.scrollable_content_region.width - 2)
        now = datetime.now().astimezone()
        options.clear_options()
        options.add_options([Option(self._prompt(entry, width, now)) for entry in entries])
        options.highlighted = min(mark, len(entries) - 1) if entries else None
        self._shown_for = text
        if self._open_when_shown:
            self.action_open()
        self.refresh_bindings()
        self.query_one("#chat-count", Static).update(Content(_count(len(entries), bool(text))))

    def _prompt(self, entry: ChatEntry | ResultHit, width: int, now: datetime) -> Text:
        if isinstance(entry, ResultHit):
            marker, then = "  ", entry.created_ms
            head = f"{clean_line(entry.name)} · result of {clean_line(entry.job_name, 60)}"
        else:
            marker, then = "● " if entry.chat.id == self._current else "  ", entry.chat.updated_ms
            head = clean_line(entry.chat.title) or "Untitled"
        when = _when(datetime.fromtimestamp(then / 1000).astimezone(), now)
        title = Text(marker + head, "bold", no_wrap=True)
        title.truncate(width - len(when) - 1, overflow="ellipsis", pad=True)
        line = Text.assemble(title, f" {when}")
        line.stylize("dim", len(title.plain))
        facts = "" if isinstance(entry, ResultHit) else _facts(entry.chat)
        second = _snippet(entry) if entry.pieces else Text(facts, "dim")
        second.pad_left(2)
        second.truncate(width, overflow="ellipsis")
        return Text("\n").join([line, second])

    @property
    def _marked(self) -> ChatEntry | ResultHit | None:
        marked = self.query_one(ChatList).highlighted
        return self._entries[marked] if marked is not None and marked < len(self._entries) else None

    @property
    def _entry(self) -> ChatEntry | None:
        """The marked chat, for what can be done with chats alone."""
        if isinstance(marked := self._marked, ResultHit):
            self._say("This is a result of a job: Enter opens it.")
            return None
        return marked

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """What needs an entry is not offered where there is none; while the list is still filled, there may be one."""
        if action not in _OF_AN_ENTRY or self._entries:
            return True
        box = self.query(FilterInput)
        return not box or box.first().value != self._shown_for

    def action_open(self) -> None:
        """Open what is marked; after fast typing, once the list is that of the whole filter."""
        if self._shown_for != self.query_one(FilterInput).value:
            self._open_when_shown = True
            return
        marked = self._marked
        if isinstance(marked, ResultHit):
            self.dismiss(ChosenResult(marked.job_id, marked.item_id))
        elif marked is not None:
            self.dismiss(Chosen(marked.chat.id, marked.message_id))

    def action_rename(self) -> None:
        """Ask for another title."""
        if (entry := self._entry) is None:
            return
        from holychat.tui.screens.ask_line import AskLineScreen

        def answered(title: str | None) -> None:
            if title:
                start_work(self, "", self._rename, entry.chat.id, title)

        self.app.push_screen(AskLineScreen("Title of the chat", entry.chat.title), answered)

    async def _rename(self, chat_id: int, title: str) -> None:
        if await self._attempt(self._chats.rename(chat_id, title)):
            self._renamed(chat_id)

    def action_delete(self) -> None:
        """Ask, then delete."""
        if (entry := self._entry) is None:
            return
        from holychat.tui.screens.confirm import ConfirmScreen

        def answered(yes: bool | None) -> None:
            if yes:
                start_work(self, "", self._delete, entry.chat.id)

        title = clean_line(entry.chat.title, 80) or "Untitled"
        detail = f"“{title}” and its {entry.chat.message_count} messages. This cannot be undone."
        self.app.push_screen(ConfirmScreen("Delete this chat?", detail, "Delete", "Keep it"), answered)

    async def _delete(self, chat_id: int) -> None:
        left: list[int] = []

        async def change() -> None:
            left.extend(await self._chats.delete(chat_id))

        if await self._attempt(change()):
            self._deleted(chat_id)
            for job_id in left:
                self._say(f"Job {job_id} still answers a question of it; its answer stays there.")

    async def _attempt(self, change: Awaitable[object]) -> bool:
        marked = self.query_one(ChatList).highlighted or 0
        done = True
        try:
            await change
        except HolychatError as error:
            self._say(str(error))
            done = False
        await self._fill(marked)
        return done

    def action_export(self) -> None:
        """Ask for a file, then export."""
        if (entry := self._entry) is not None:
            self._export(entry.chat)


def _same(entry: ChatEntry | ResultHit, marked: ChatEntry | ResultHit) -> bool:
    if isinstance(entry, ResultHit) or isinstance(marked, ResultHit):
        return entry == marked
    return entry.chat.id == marked.chat.id


def _snippet(entry: ChatEntry | ResultHit) -> Text:
    text = Text(no_wrap=True)
    for piece, hit in entry.pieces:
        # The bars keep the spaces at both ends, which folding white space would take.
        text.append(clean_line(f"|{piece}|", 400)[1:-1], "underline" if hit else "dim")
    return text


def _facts(chat: Chat) -> str:
    parts = [f"{chat.message_count} messages" if chat.message_count != 1 else "1 message"]
    if chat.options.model:
        parts.append(clean_line(chat.options.model, 40))
    if chat.draft:
        parts.append("draft")
    return " · ".join(parts)


def _count(count: int, filtered: bool) -> str:
    if not count:
        return "Nothing found." if filtered else "No chats yet."
    shown = f"the newest {_LIMIT}" if count == _LIMIT else f"{count}"
    return f"{shown} {'found' if filtered else 'chats' if count != 1 else 'chat'}"


def _when(then: datetime, now: datetime) -> str:
    if then.date() == now.date():
        return then.strftime("%H:%M")
    if then.year == now.year:
        return then.strftime("%d %b")
    return then.strftime("%Y-%m-%d")
