"""What can be done with the message under the cursor."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from holychat.domain.chat import title_from
from holychat.text import clean, safe_file_name
from holychat.tui.files import write_export

if TYPE_CHECKING:
    from pathlib import Path

    from holychat.domain.chat import Message
    from holychat.tui.screens.chat import ChatScreen
    from holychat.tui.widgets.conversation_pane import Deed


class MessageActions:
    """Runs the deeds of the conversation pane for a chat screen.

    Args:
        screen: The screen the message is on.
    """

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen

    async def run(self, deed: Deed, message: Message) -> None:
        """Do it.

        Raises:
            HolychatError: It cannot be done, with the reason.
        """
        screen = self._screen
        match deed:
            case "copy":
                screen.copy(message.text)
            case "code":
                self._copy_code()
            case "save":
                self._save(message)
            case "edit":
                screen.begin_editing(message)
            case "regenerate":
                await screen.conversation.regenerate(message)
                screen.focus_composer()
            case "continue":
                await screen.conversation.continue_reply(message)
                screen.focus_composer()

    def _copy_code(self) -> None:
        block = self._screen.transcript.next_code_block()
        if block is None:
            self._screen.say("No code block in this message.")
        else:
            self._screen.copy(block.source)

    def _save(self, message: Message) -> None:
        from holychat.tui.screens.save_to_file import SaveToFileScreen

        async def write(path: Path, overwrite: bool) -> None:
            await asyncio.to_thread(write_export, path, message.text, overwrite=overwrite)

        name = safe_file_name(title_from(clean(message.text)), "message")
        self._screen.app.push_screen(SaveToFileScreen("Save message", f"{name}.md", write), self._screen.say_done)
