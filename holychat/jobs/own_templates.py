"""Templates: recipes with names, the person's own and those that come with holychat."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from holychat.jobs import conversation
from holychat.jobs.reading import JobReading
from holychat.store import templates

if TYPE_CHECKING:
    from holychat.domain.jobs import Template


class JobTemplates(JobReading):
    """What can be done with templates."""

    async def templates(self) -> list[Template]:
        """The person's own templates by name, then those that come with holychat."""
        from holychat.jobs.built_in import with_built_in

        return with_built_in(await self._database.read(templates.everything))

    async def save_template(self, template: Template) -> None:
        """Keep a template, in place of one with the same name.

        Raises:
            UsageError: It has no name, or its recipe lacks something.
        """
        await asyncio.to_thread(conversation.check_template, template)
        await self._database.write(lambda c: templates.save(c, template, time.time_ns() // 1_000_000))

    async def delete_template(self, name: str) -> None:
        """Delete a template.

        Raises:
            UsageError: There is none of that name, or it comes with holychat.
        """
        await self._database.write(lambda c: templates.delete(c, name))

    async def template_from_chat(self, chat_id: int, name: str) -> Template:
        """Keep what a chat asks as a template: its system prompt, model and temperature, its last question as prompt.

        Raises:
            UsageError: There is no such chat, or nothing was asked in it.
        """
        template = await self._database.read(lambda c: conversation.template_of(c, chat_id, name))
        await self.save_template(template)
        return template
