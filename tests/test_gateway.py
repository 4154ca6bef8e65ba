"""The library: one door to every road, over real sockets, a real database and a real worker process."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import holychat
from holychat import Gateway, JobPaused, Priority, Task
from holychat.domain.jobs import ItemState
from holychat.domain.roads import Road
from holychat.errors import HolychatError, UsageError
from tests.support.loopback import Loopback, error_reply, stream_of, whole

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
[chat]
provider = "mine"
[jobs]
idle_seconds = 0.5
[providers.mine]
base_url = "{url}"
model = "test-model"
needs_key = false
"""


@pytest.fixture
def home(tmp_path: Path, loopback: Loopback) -> Path:
    home = tmp_path / "home"
    (home / "config").mkdir(parents=True)
    (home / "config" / "config.toml").write_text(CONFIG.format(url=loopback.base_url))
    return home


async def test_a_high_task_is_streamed_and_kept_in_the_history(home: Path, loopback: Loopback) -> None:
    loopback.chat(stream_of("Blue ", "light ", "scatters."))
    async with Gateway.open(home) as gateway:
        texts = [text async for text in gateway.stream(Task("Why is the sky blue?"))]
        assert "".join(texts) == "Blue light scatters."
        assert len(texts) > 1
    async with Gateway.open(home) as gateway:
        (entry,) = await gateway._services.chats.list()
        assert entry.chat.title == "Why is the sky blue?"


async def test_a_conversation_goes_along_as_it_was(home: Path, loopback: Loopback) -> None:
    loopback.chat(stream_of("Four."))
    talk = [
        ("system", "Be short."),
        ("user", "1 + 1?"),
        ("assistant", "Two."),
        {"role": "user", "content": "2 + 2?"},
    ]
    async with Gateway.open(home) as gateway:
        ticket = await gateway.submit(Task(talk, priority=Priority.HIGH, temperature=0.5, max_tokens=9))
        assert ticket.road is Road.LIVE
        assert ticket.reasons
        (answer,) = await ticket
    assert (answer.id, answer.text, answer.state) == ("1", "Four.", ItemState.DONE)
    sent = loopback.requests[0].json
    assert [message["content"] for message in sent["messages"]] == ["Be short.", "1 + 1?", "Two.", "2 + 2?"]
    assert (sent["temperature"], sent["max_tokens"], sent["model"]) == (0.5, 9, "test-model")


async def test_a_failure_of_a_live_task_is_told(home: Path, loopback: Loopback) -> None:
    loopback.chat(error_reply(400, "No such thing"))
    async with Gateway.open(home) as gateway:
        with pytest.raises(HolychatError, match="No such thing"):
            async for _ in gateway.stream(Task("Hi")):
                pass
        (answer,) = await (await gateway.submit(Task("Hi", priority=Priority.HIGH)))
    assert answer.state is ItemState.FAILED
    assert answer.failure is not None
    assert "No such thing" in answer.failure.title


async def test_the_model_of_the_settings_is_asked_on_either_road(home: Path, loopback: Loopback) -> None:
    file = home / "config" / "config.toml"
    file.write_text(file.read_text().replace('provider = "mine"', 'provider = "mine"\nmodel = "chosen"'))
    loopback.chat(stream_of("Blue."), whole("Blue."))
    async with Gateway.open(home) as gateway:
        assert [text async for text in gateway.stream(Task("Why?"))] == ["Blue."]
        await (await gateway.submit(Task("Why?", priority=Priority.MEDIUM)))
    assert [request.json["model"] for request in loopback.requests] == ["chosen", "chosen"]


async def test_medium_tasks_go_over_the_desk_and_come_back_in_order(home: Path, loopback: Loopback) -> None:
    loopback.chat(whole("An answer."))
    async with Gateway.open(home) as gateway:
        tasks = [Task(f"Question {number}", id=f"q{number}", max_tokens=5) for number in range(25)]
        ticket = await gateway.submit(tasks, name="Questions")
        assert ticket.road is Road.DESK
        assert (await ticket.poll()).total == 25
        answers = await ticket
        standing = await ticket.poll()
    assert [answer.id for answer in answers] == [task.id for task in tasks]
    assert {(answer.text, answer.state) for answer in answers} == {("An answer.", ItemState.DONE)}
    assert (standing.done, standing.total, standing.ended) == (25, 25, True)
    assert answers[0].usage.output_tokens == 34
    asked = sorted(request.json["messages"][-1]["content"] for request in loopback.requests)
    assert asked == sorted(f"Question {number}" for number in range(25))


async def test_nothing_that_was_asked_outlives_its_job(home: Path, loopback: Loopback) -> None:
    loopback.chat(whole("yes"))
    async with Gateway.open(home) as gateway:
        ticket = await gateway.submit(Task("Is this a secret?"))
        await ticket
        lists = home / "data" / "lists"
        assert len(list(lists.iterdir())) == 1
        await gateway._services.jobs.delete(1)
        assert list(lists.iterdir()) == []


async def test_a_ticket_is_found_again_by_another_program(home: Path, loopback: Loopback) -> None:
    loopback.chat(whole("Late."))
    async with Gateway.open(home) as gateway:
        ticket = await gateway.submit(Task("Later?", priority=Priority.LOW))
        assert ticket.road is Road.DESK
        assert any("batch service" in reason for reason in ticket.reasons)
        number = int(ticket.name.removeprefix("job "))
    async with Gateway.open(home) as gateway:
        (answer,) = await (await gateway.ticket(number))
    assert answer.text == "Late."


async def test_tasks_that_cannot_go_together_are_refused_before_anything_is_written(home: Path) -> None:
    refused: list[tuple[object, str]] = [
        ([], "no tasks"),
        ([Task("a", id="x"), Task("b", id="x")], "same id"),
        ([Task("a"), Task("b", priority=Priority.LOW)], "do not go together"),
        (Task(""), "ends with a question"),
        (Task([("user", "a"), ("assistant", "b")]), "ends with a question"),
        (Task([("robot", "a")]), "no role"),
        (Task("a", priority=Priority.HIGH, callback_url="https://example.com/"), "nobody to call back"),
        (Task("a", provider="nowhere"), "no provider"),
    ]
    async with Gateway.open(home) as gateway:
        for tasks, said in refused:
            with pytest.raises(UsageError, match=said):
                await gateway.submit(tasks)  # type: ignore[arg-type]
        assert await gateway._services.jobs.list() == []


async def test_advice_lays_the_roads_side_by_side(home: Path) -> None:
    async with Gateway.open(home) as gateway:
        choice = await gateway.advise([Task("a"), Task("b")], waiting=True)
        assert [offer.road for offer in choice.offers] == [Road.LIVE, Road.DESK, Road.PROVIDER_BATCH]
        assert choice.reasons


def test_the_names_of_the_library_are_there_and_load_nothing_before_they_are_used() -> None:
    assert {"Gateway", "Task", "Priority", "Ticket", "Answer"} <= set(dir(holychat))
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        _ = holychat.nothing_of_that_name
    code = "import sys, holychat; assert not [m for m in sys.modules if m.startswith('holychat.')]"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


async def test_a_job_that_lacks_money_is_not_awaited_for_ever(home: Path, loopback: Loopback) -> None:
    with (home / "config" / "config.toml").open("a") as config:
        config.write('[prices.mine."test-model"]\ninput = 1.0\noutput = 1000.0\n')
    loopback.chat(whole("Four."))
    async with Gateway.open(home) as gateway:
        ticket = await gateway.submit(Task("2 + 2?", max_tokens=1000), budget_usd=0.01)
        with pytest.raises(JobPaused, match=r"of \$0.01 are left") as paused:
            await ticket
        assert "batch resume" in paused.value.hint
        await gateway._services.jobs.resume(int(ticket.name.removeprefix("job ")), budget_micros=5_000_000)
        (answer,) = await ticket
    assert answer.text == "Four."
