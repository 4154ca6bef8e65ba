"""Between the chat and the desk: a result as a chat, a chat as a template."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from holychat.domain.chat import MessageState, Role
from holychat.domain.jobs import ItemState, JobSpec, JobState, Kind, Recipe, Template
from holychat.errors import UsageError
from tests.jobs.test_service import no_worker, paper, services, with_item
from tests.store.job_tools import new_job, set_state
from tests.store.tools import talk

if TYPE_CHECKING:
    from pathlib import Path

    from holychat.services import Services

__all__ = ["no_worker", "paper", "services"]

S = ItemState


async def test_a_result_is_opened_as_a_chat_with_its_document_question_and_answer(
    services: Services, paper: Path
) -> None:
    spec = JobSpec("x", Recipe(Kind.SUMMARIZE, length="short", system="Be kind."), (), "mine", "m")
    job = new_job(services.database, JobState.RUNNING, spec)
    item = with_item(services, job.id, S.DONE, result="It *digs*.", name="paper.txt", cost=77)
    services.database.write_now(lambda c: c.execute("UPDATE items SET path = ?", (str(paper),)))
    chat = await services.jobs.open_as_chat(item)
    assert (chat.title, chat.options.provider, chat.options.model, chat.options.system) == (
        "paper.txt", "mine", "m", "Be kind."
    )  # fmt: skip
    question, answer = await services.chats.messages(chat.id, 0, 9)
    assert question.role is Role.USER
    assert question.text.startswith("Summarise this document in 2 to 3 sentences")
    assert "<file" not in question.text
    assert [part.name for part in question.attachments] == ["paper.txt"]
    assert (answer.text, answer.state, answer.cost) == ("It *digs*.", MessageState.COMPLETE, None)
    assert "wombat digs" in await services.chats.export(chat.id, "json")


@pytest.mark.parametrize(
    ("recipe", "content", "asked"),
    [
        (Recipe(Kind.SUMMARIZE), "text", "m"),
        (Recipe(Kind.REQUESTS), '{"model": "n", "messages": [{"role": "user", "content": "Hi"}]}', "n"),
        (Recipe(Kind.REQUESTS), '{"messages": [{"role": "user", "content": "Hi"}]}', "m"),
    ],
)
async def test_a_chat_with_a_result_goes_on_with_the_model_that_was_asked_for(
    services: Services, recipe: Recipe, content: str, asked: str
) -> None:
    job = new_job(services.database, JobState.RUNNING, JobSpec("x", recipe, (), "mine", "m"))
    item = with_item(services, job.id, S.DONE, result="Hello", content=content)
    services.database.write_now(lambda c: c.execute("UPDATE items SET model = 'm-2026-01-01'"))
    chat = await services.jobs.open_as_chat(item)
    assert chat.options.model == asked
    assert (await services.chats.messages(chat.id, 1, 1))[0].model == "m-2026-01-01"


async def test_what_has_no_answer_cannot_be_opened(services: Services) -> None:
    job = new_job(services.database, JobState.RUNNING)
    item = with_item(services, job.id, S.PENDING, content="text")
    with pytest.raises(UsageError, match="has no answer yet"):
        await services.jobs.open_as_chat(item)
    services.database.write_now(lambda c: set_state(c, item, S.SENDING))
    services.database.write_now(lambda c: c.execute("UPDATE item_texts SET partial = 'half'"))
    chat = await services.jobs.open_as_chat(item)
    assert (await services.chats.messages(chat.id, 1, 1))[0].state is MessageState.INTERRUPTED


async def test_a_tuned_chat_becomes_a_template(services: Services) -> None:
    chat = talk(services.database, ("Hello", "Hi"), ("List the animals in it", "wombat"))
    options = replace(chat.options, system="Be brief.", temperature=0.25, max_tokens=300)
    await services.chats.set_options(chat.id, options)
    template = await services.jobs.template_from_chat(chat.id, "animals")
    recipe = Recipe(
        Kind.PROMPT, prompt="List the animals in it\n\n{text}", system="Be brief.", temperature=0.25, max_tokens=300
    )
    assert template == Template("animals", recipe, "test", "model-1")
    assert (await services.jobs.templates())[0] == template
    assert any(known.built_in for known in await services.jobs.templates())
    await services.jobs.delete_template("animals")
    assert all(known.built_in for known in await services.jobs.templates())


async def test_a_template_needs_a_name_a_prompt_and_a_chat_something_asked(services: Services) -> None:
    empty = await services.chats.create()
    with pytest.raises(UsageError, match="Nothing was asked in this chat yet"):
        await services.jobs.template_from_chat(empty.id, "x")
    for name in ("", "two\nlines", "x" * 100):
        with pytest.raises(UsageError, match="A template needs a name"):
            await services.jobs.save_template(Template(name, Recipe(Kind.SUMMARIZE)))
    with pytest.raises(UsageError, match="There is no prompt"):
        await services.jobs.save_template(Template("x", Recipe(Kind.PROMPT)))
