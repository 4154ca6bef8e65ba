"""The door to money: what was spent, what may be spent, and how token counts are learned, over real turns."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from holychat.catalog.calibration import calibration_key
from holychat.domain.chat import MessageState, Role
from holychat.domain.request import PromptMessage
from holychat.errors import LimitReached
from holychat.money.costs import Costs
from holychat.money.periods import Calendar
from holychat.paths import Paths
from holychat.services import open_services
from holychat.settings import parse_settings
from tests.chat.tools import ended
from tests.support.script import CUT, Gate, events_reply, reply_events

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holychat.services import Services
    from tests.support.loopback import Loopback

PRICED = '[prices.test."model-1"]\ninput = 10\noutput = 20\n'
KEY = {"TEST_KEY": "sk-test-0123456789abcdef0123456789abcdef"}


@pytest.fixture
def opened(loopback: Loopback, private_environment: Path) -> Callable[[str], Services]:
    """Services with some settings, all of whose messages go to the loopback server."""

    def open_with(text: str = "") -> Services:
        base = '[chat]\nprovider = "test"\nmodel = "model-1"\n[providers.test]\nkind = "openai"\nkey_env = "TEST_KEY"\n'
        base += f'base_url = "{loopback.base_url}"\n'
        return open_services(
            Paths.resolve({"HOLYCHAT_HOME": str(private_environment)}), parse_settings(base + text), KEY
        )

    return open_with


def replies(loopback: Loopback, input_tokens: int, output_tokens: int) -> None:
    loopback.chat(events_reply(reply_events(["ok"], usage=(input_tokens, output_tokens))))


async def ask(services: Services, text: str = "why?") -> int:
    chat = await services.chats.create()
    message = await ended(await services.chats.send(chat.id, text))
    assert message.state is MessageState.COMPLETE
    return chat.id


async def test_an_answer_is_priced_by_the_settings_and_found_under_its_day_model_and_chat(
    opened: Callable[[str], Services], loopback: Loopback
) -> None:
    services = opened(PRICED)
    costs = services.costs
    replies(loopback, 1000, 500)
    chat_id = await ask(services)
    today = costs.today()
    assert (await costs.total(today, today)).micros == 20_000
    assert (await costs.of_chat(chat_id)).micros == 20_000
    for by in ("model", "provider", "chat", "day"):
        [share] = await costs.shares(by, today, today)  # type: ignore[arg-type]
        assert share.spent.micros == 20_000
    overview = await costs.overview()
    assert overview.today == overview.month
    assert overview.month_days[-1].day == today
    assert [share.name for share in overview.models] == ["model-1"]
    assert await costs.first_day() == today
    await services.close()


async def test_a_request_that_could_go_beyond_a_limit_is_not_sent_nor_stored_and_the_draft_stays(
    opened: Callable[[str], Services], loopback: Loopback
) -> None:
    services = opened(f"{PRICED}[limits]\nday = 0.001\n")
    chat = await services.chats.create()
    await services.chats.save_draft(chat.id, "why?")
    with pytest.raises(LimitReached, match="could cost"):
        await services.chats.send(chat.id, "why?", draft=("why?", ""))
    assert loopback.requests == []
    assert await services.chats.messages(chat.id, 0, 10) == []
    assert (await services.chats.get(chat.id)).draft == "why?"
    replies(loopback, 10, 10)
    services.costs.allow_one()
    assert (await ended(await services.chats.send(chat.id, "why?"))).state is MessageState.COMPLETE
    with pytest.raises(LimitReached):
        await services.chats.send(chat.id, "again?")
    await services.close()


async def test_a_reply_that_is_arriving_counts_at_its_worst_for_everybody_until_it_is_there(
    opened: Callable[[str], Services], loopback: Loopback
) -> None:
    services, other = opened(f"{PRICED}[limits]\nday = 0.2\n"), opened(f"{PRICED}[limits]\nday = 0.2\n")
    gate = Gate()
    loopback.chat(events_reply([gate, *reply_events(["ok"], usage=(10, 10))]))
    options = replace(services.chats.default_options(), max_tokens=6_000)  # 0.12 dollars
    first, second = await services.chats.create(options), await services.chats.create(options)
    turn = await services.chats.send(first.id, "why?")
    arriving = asyncio.create_task(ended(turn))
    with pytest.raises(LimitReached, match="requests under way"):
        await other.chats.send(second.id, "and why not?")
    gate.open()
    assert (await arriving).state is MessageState.COMPLETE
    replies(loopback, 10, 10)
    assert (await ended(await other.chats.send(second.id, "and why not?"))).state is MessageState.COMPLETE
    [day] = await other.costs.limits()
    assert (day.unsettled.requests, day.spent.micros) == (0, 600)
    await services.close()
    await other.close()


async def test_an_answer_that_goes_on_is_not_held_by_what_it_could_have_cost_before(
    opened: Callable[[str], Services], loopback: Loopback
) -> None:
    services = opened(f"{PRICED}[limits]\nday = 0.2\n")
    loopback.chat(events_reply([*reply_events(["begun"], finish=None, usage=None, done=False), CUT]))
    chat = await services.chats.create(replace(services.chats.default_options(), max_tokens=6_000))
    answer = await ended(await services.chats.send(chat.id, "why?"))
    assert answer.state is MessageState.INTERRUPTED
    replies(loopback, 10, 10)
    again = await services.chats.continue_reply(chat.id, answer.id)
    assert (await ended(again)).state is MessageState.COMPLETE
    await services.close()


async def test_of_an_unknown_model_the_worst_is_what_would_be_asked_for(opened: Callable[[str], Services]) -> None:
    there = 'kind = "anthropic"\nbase_url = "https://llm.example.com"\nneeds_key = false\n'
    small = "[prices.mine.small]\ninput = 0\noutput = 1\ncontext = 20000\n"
    prices = "".join(f'[prices.{name}."unheard-of"]\ninput = 0\noutput = 1\n' for name in ("mine", "anthropic", "test"))
    services = opened(f"[providers.mine]\n{there}{prices}{small}")
    prompt = (PromptMessage(Role.USER, "why?"),)
    worst = services.costs.worst_cost
    assert worst("mine", "unheard-of", prompt, None) == worst("anthropic", "unheard-of", prompt, None) == 32_000
    assert worst("mine", "unheard-of", prompt, 50) == 50
    assert worst("mine", "small", prompt, None) == 10_000
    assert worst("test", "unheard-of", prompt, None) == 8_192, "nobody asks for a length there"
    await services.close()


async def test_the_worst_case_counts_and_not_the_likely_one(
    opened: Callable[[str], Services], loopback: Loopback
) -> None:
    services = opened(f"{PRICED}[limits]\nday = 0.2\nmonth = 1\n")
    replies(loopback, 10, 10)
    await ask(services)
    options = replace(services.chats.default_options(), max_tokens=10_000)
    chat = await services.chats.create(options)
    with pytest.raises(LimitReached, match="today's limit"):
        await services.chats.send(chat.id, "why?")
    await services.chats.set_options(chat.id, replace(options, max_tokens=9000))
    replies(loopback, 10, 10)
    assert (await ended(await services.chats.send(chat.id, "why?"))).state is MessageState.COMPLETE
    [day, month] = await services.costs.limits()
    assert (day.micros, day.spent.micros, month.micros) == (200_000, 600, 1_000_000)
    await services.close()


async def test_asking_again_is_held_too_and_what_needs_no_key_never_is(
    opened: Callable[[str], Services], loopback: Loopback
) -> None:
    services = opened(f"{PRICED}[limits]\nday = 0.2\n")
    replies(loopback, 10_000, 5_000)
    chat_id = await ask(services)
    answer = (await services.chats.messages(chat_id, 0, 10))[-1]
    with pytest.raises(LimitReached):
        await services.chats.regenerate(chat_id, answer.id)
    assert [message.replaced for message in await services.chats.messages(chat_id, 0, 10)] == [False, False]
    await services.close()
    services = opened("needs_key = false\n[prices.test.other]\ninput = 1\noutput = 1\n[limits]\nday = 0\n")
    replies(loopback, 1, 1)
    await ask(services)
    await services.close()


async def test_limits_of_yesterday_and_last_month_are_over(
    opened: Callable[[str], Services], loopback: Loopback
) -> None:
    services = opened(f"{PRICED}[limits]\nday = 1\nmonth = 2\n")
    replies(loopback, 1000, 500)
    await ask(services)
    now = services.costs.today()
    zone = ZoneInfo("Asia/Kathmandu")
    costs = Costs(services.database, services.settings, Calendar(zone))
    moment = time.time_ns() // 1_000_000
    assert await services.database.read(lambda c: costs.room_left(c, moment)) == 980_000
    assert await services.database.read(lambda c: costs.room_left(c, moment + 2 * 86_400_000)) in (1_000_000, 980_000)
    assert await services.database.read(lambda c: costs.room_left(c, moment + 40 * 86_400_000)) == 1_000_000
    assert now in (costs.today(), date.fromordinal(costs.today().toordinal() - 1))
    await services.close()


async def test_without_limits_there_is_no_end_of_room(opened: Callable[[str], Services]) -> None:
    services = opened("")
    assert not services.costs.has_limits
    assert await services.costs.limits() == ()
    assert await services.database.read(lambda c: services.costs.room_left(c, 0)) is None
    await services.close()


async def test_token_estimates_learn_from_what_a_model_reports_and_remember_it(
    opened: Callable[[str], Services], loopback: Loopback
) -> None:
    services = opened("")
    text = "several words that say something. " * 40
    prompt = [PromptMessage(Role.USER, text)]
    before = services.costs.tokens.prompt(prompt, "model-1")
    replies(loopback, before * 3 // 2, 5)
    await ask(services, text)
    assert services.costs.tokens.prompt(prompt, "model-1") == before * 3 // 2
    await services.close()
    services = opened("")
    assert services.costs.tokens.prompt(prompt, "model-1") == before * 3 // 2
    assert services.costs.tokens.prompt(prompt, "another-model") == before
    known = (await services.costs.calibrations())[calibration_key("model-1")]
    assert known.samples == 1
    assert known.error == pytest.approx(1 / 3, abs=0.01)
    await services.close()


async def test_a_reply_without_a_report_is_counted_the_way_its_model_counts(
    opened: Callable[[str], Services], loopback: Loopback
) -> None:
    services = opened("")
    text = "several words that say something. " * 40
    before = services.costs.tokens.prompt([PromptMessage(Role.USER, text)])
    replies(loopback, before * 2, 5)
    await ask(services, text)
    loopback.chat(events_reply(reply_events(["ok"], usage=None)))
    chat = await services.chats.create()
    message = await ended(await services.chats.send(chat.id, text))
    assert (message.usage.input_tokens, message.usage.estimated) == (before * 2, True)
    await services.close()
