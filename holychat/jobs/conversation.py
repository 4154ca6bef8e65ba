"""Between the chat and the desk: a result as a chat, a chat as a template."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.domain.chat import AttachmentPart, ChatOptions, MessageState, Role, TextPart
from holychat.domain.jobs import Kind, Recipe, Template
from holychat.errors import UsageError
from holychat.store import chats, jobs, messages
from holychat.store.messages import FileText, NewReply
from holychat.text import clean_line

if TYPE_CHECKING:
    from holychat.domain.chat import Chat
    from holychat.domain.job_views import ItemDetail
    from holychat.store.database import Connection

_LONGEST_NAME = 80
_LONGEST_FILE = 4 * 1024 * 1024
"""Characters of a document that go into a chat."""


def open_as_chat(connection: Connection, detail: ItemDetail, now_ms: int) -> Chat:
    """A new chat: the document as a file, what was asked, and the answer.

    It goes on with the model that was asked for. What the provider calls the model that answered may be no name that it
    takes, or one of a version without a known price; that name stays with the answer.

    What the answer cost is counted with its job, and so not again with the message.

    Raises:
        UsageError: There is no answer.
    """
    item = detail.item
    answer = detail.result or detail.partial
    if not answer:
        raise UsageError(f"{clean_line(item.document.name)} has no answer yet", "Open it when it is done.")
    job = jobs.get(connection, item.job_id)
    recipe = job.spec.recipe
    question, files, model = _ready_made(detail) if recipe.kind is Kind.REQUESTS else (*_asked(recipe, detail), "")
    options = ChatOptions(job.spec.provider, model or job.spec.model, recipe.system, recipe.temperature)
    chat = chats.create(connection, options, now_ms)
    messages.add_question(connection, chat.id, question, files, now_ms)
    owner = f"item-{item.id}"
    answered_by = item.model or options.model
    reply = messages.start_reply(connection, chat.id, NewReply(owner, job.spec.provider, answered_by, now_ms))
    whole = detail.result is not None
    state = MessageState.COMPLETE if whole else MessageState.INTERRUPTED
    messages.finish_reply(connection, replace(reply, state=state, parts=(TextPart(answer),)), owner)
    return chats.rename(connection, chat.id, clean_line(item.document.name, 60))


def template_of(connection: Connection, chat_id: int, name: str) -> Template:
    """A template that asks of each document what was asked last in a chat.

    Raises:
        UsageError: There is no such chat, or nothing was asked in it.
    """
    chat = chats.get(connection, chat_id)
    count = messages.count(connection, chat_id)
    said = (message for first in range(count - 1, -1, -1) for message in messages.page(connection, chat_id, first, 1))
    question = next((message for message in said if message.role is Role.USER and message.text.strip()), None)
    if question is None:
        raise UsageError("Nothing was asked in this chat yet", "Ask it about one document first, then make a template.")
    prompt = question.text if "{text}" in question.text else f"{question.text.rstrip()}\n\n{{text}}"
    options = chat.options
    recipe = Recipe(
        Kind.PROMPT,
        prompt=prompt,
        system=options.system,
        temperature=options.temperature,
        max_tokens=options.max_tokens,
    )
    return Template(name, recipe, options.provider, options.model)


def check_template(template: Template) -> None:
    """Make sure that a template can be kept and used.

    Raises:
        UsageError: It has no name that fits a line, or its recipe lacks something.
    """
    from holychat.jobs import recipes

    recipes.check(template.recipe)
    if not template.name.strip() or clean_line(template.name, _LONGEST_NAME) != template.name:
        raise UsageError("A template needs a name of one line", f"Up to {_LONGEST_NAME} characters.")


def _asked(recipe: Recipe, detail: ItemDetail) -> tuple[str, list[FileText]]:
    """What was asked about a document, and the document as a file, as if both had been typed into a chat."""
    from holychat.chat.prompt import file_block
    from holychat.jobs import recipes

    document = detail.item.document
    prompt = recipes.messages(recipe, document.name, document.path, "")[-1].text
    question = prompt.replace(file_block(document.name, ""), "").strip()
    if not detail.source:
        return f"{question}\n\n({clean_line(document.name)} could not be read any more.)", []
    text = detail.source[:_LONGEST_FILE]
    if len(text) < len(detail.source):
        question += f"\n\n(These are the first {_LONGEST_FILE:,} characters of it.)"
    data = text.encode("utf-8", "replace")
    part = AttachmentPart(document.name, document.path, hashlib.sha256(data).hexdigest(), len(data))
    return question, [FileText(part, text)]


def _ready_made(detail: ItemDetail) -> tuple[str, list[FileText], str]:
    """What was asked, its files, and the model of the request; "" where that is the job's."""
    from holychat.jobs import requests

    request = requests.body_request(detail.source or "{}")
    asked = "\n\n".join(message.text for message in request.messages if message.role is Role.USER)
    return asked, [], request.model
