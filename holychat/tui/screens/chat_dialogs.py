"""The main screen's way to its dialogs, to the editor and to the browser."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from holychat.text import clean_line
from holychat.tui.files import absolute, write_export
from holychat.tui.links import checked_address
from holychat.tui.screens.chat_base import ChatBase

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holychat.domain.chat import Chat, Message
    from holychat.tui.screens.chats import Chosen, ChosenResult
    from holychat.tui.widgets.conversation_pane import Deed
    from holychat.tui.widgets.transcript import Transcript


class ChatDialogs(ChatBase):
    """What opens other screens."""

    text_in_editor: Callable[[], str] | None = None
    """Reads what stands in the person's own editor while that is open."""

    def action_new_chat(self) -> None:
        """An empty chat, at once: the next key is typed there."""
        old = self.conversation.new()
        self.focus_composer()
        self.attempt(self.drafts.leave, old)

    def action_chats(self) -> None:
        """Find a chat."""
        self.attempt(self._chats)

    async def _chats(self) -> None:
        from holychat.tui.screens.chats import ChatsScreen

        await self.drafts.flush()
        current = self.conversation.chat.id if self.conversation.chat else None
        screen = ChatsScreen(
            self.conversation.chats,
            current,
            say=self.say,
            deleted=self._deleted,
            renamed=self._renamed,
            export=self.export_chat,
        )
        self.app.push_screen(screen, self._chosen)

    def _chosen(self, chosen: Chosen | ChosenResult | None) -> None:
        from holychat.tui.screens.chats import ChosenResult

        if isinstance(chosen, ChosenResult):
            self.open_job(chosen.job_id, chosen.item_id)
        elif chosen is not None:
            self.attempt(self._show_found, chosen.chat_id, chosen.message_id)

    async def _show_found(self, chat_id: int, message_id: int | None) -> None:
        await self.show_chat(chat_id, message_id)
        if message_id is not None and await self.conversation.chats.position_of(message_id) is None:
            await self._show_replaced(message_id)

    def action_replaced(self) -> None:
        """Read what was replaced in the chat shown."""
        self.attempt(self._show_replaced)

    async def _show_replaced(self, message_id: int | None = None) -> None:
        chat = self.conversation.chat
        found = await self.conversation.chats.replaced(chat.id) if chat is not None else []
        messages = [message for message in found if message.parts]
        if not messages:
            self.say("Nothing was replaced in this chat.")
            return
        from holychat.tui.screens.replaced import ReplacedScreen
        from holychat.tui.widgets.conversation_pane import ConversationPane

        def act(deed: Deed, message: Message) -> None:
            self.post_message(ConversationPane.Act(deed, message))

        self.app.push_screen(ReplacedScreen(messages, message_id, act))

    def open_job(self, job_id: int, item_id: int | None = None) -> None:
        """Show a job, at one of its documents where that is given."""
        raise NotImplementedError

    def _deleted(self, chat_id: int) -> None:
        if self.conversation.chat is not None and self.conversation.chat.id == chat_id:
            self.conversation.lose_chat()

    def _renamed(self, chat_id: int) -> None:
        if self.conversation.chat is not None and self.conversation.chat.id == chat_id:
            self.attempt(self._reread, chat_id)

    async def _reread(self, chat_id: int) -> None:
        self.conversation.chat = await self.conversation.chats.get(chat_id)
        self.chat_changed()

    async def rename(self, title: str) -> None:
        """Give the chat shown another title."""
        chat_id = await self.conversation.ensure_chat()
        await self.conversation.chats.rename(chat_id, title)
        await self._reread(chat_id)
        self.say(f"Renamed to “{clean_line(title, 80)}”.")

    def action_rename(self) -> None:
        """Ask for another title."""
        from holychat.tui.screens.ask_line import AskLineScreen

        def answered(title: str | None) -> None:
            if title:
                self.attempt(self.rename, title)

        title = self.conversation.chat.title if self.conversation.chat else ""
        self.app.push_screen(AskLineScreen("Title of the chat", title), answered)

    def action_export(self) -> None:
        """Export the chat shown."""
        if self.conversation.chat is None:
            self.say("There is nothing to export yet.")
        else:
            self.export_chat(self.conversation.chat)

    def export_chat(self, chat: Chat) -> None:
        """Ask for a file, then export a chat."""
        from holychat.text import safe_file_name
        from holychat.tui.screens.save_to_file import SaveToFileScreen

        async def write(path: Path, overwrite: bool) -> None:
            await self._export(chat.id, path, overwrite)

        screen = SaveToFileScreen(
            "Export chat", f"{safe_file_name(chat.title)}.md", write, ".md is for reading, .json holds everything. "
        )
        self.app.push_screen(screen, self.say_done)

    async def export_to(self, path: Path, *, overwrite: bool) -> None:
        """Export the chat shown to a file named in a command."""
        chat_id = await self.conversation.ensure_chat()
        await self._export(chat_id, path, overwrite)
        self.say(f"Exported to {absolute(path)}")

    async def _export(self, chat_id: int, path: Path, overwrite: bool) -> None:
        kind: Literal["json", "markdown"] = "json" if path.suffix.lower() == ".json" else "markdown"
        text = await self.conversation.chats.export(chat_id, kind)
        await asyncio.to_thread(write_export, path, text, overwrite=overwrite)

    def action_models(self) -> None:
        """Choose model and provider."""
        if (services := self._services_or_say()) is None:
            return
        from holychat.tui.screens.models import ModelsScreen

        self.app.push_screen(ModelsScreen(services, self.conversation.options), self._use)

    def action_first_run(self) -> None:
        """The ways on without a key, at any time."""
        self.show_first_run()

    def action_retry(self) -> None:
        """Ask for another answer."""
        self.attempt(self.conversation.regenerate)

    def action_help(self) -> None:
        """Keys and help."""
        from holychat.tui.screens.help import HelpScreen, scopes_here

        self.app.push_screen(HelpScreen(self.remapped, scopes_here(self)))

    def action_edit_in_editor(self) -> None:
        """Write in $EDITOR."""
        self.attempt(self._edit_in_editor)

    async def _edit_in_editor(self) -> None:
        from holychat.tui.editor import edit_text

        def reading(read: Callable[[], str] | None) -> None:
            self.text_in_editor = read

        self.composer.set_text(await edit_text(self.app, self.composer.text, reading))
        self.focus_composer()

    def on_transcript_link_activated(self, event: Transcript.LinkActivated) -> None:
        """Show where a link really goes, then ask."""
        event.stop()
        address = checked_address(event.url)
        if address is None:
            self.say(f"Only http and https links are opened, not {clean_line(event.url, 120)}")
            return
        from holychat.tui.screens.confirm import ConfirmScreen

        def answered(yes: bool | None) -> None:
            if yes:
                self.app.open_url(address)

        self.app.push_screen(ConfirmScreen("Open this address in your browser?", address, "Open"), answered)
