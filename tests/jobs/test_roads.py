"""What the roads to a model rest on: what was measured here, what is set, what was found out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holychat.credentials.chain import KeyChain
from holychat.domain.chat import ChatOptions
from holychat.domain.roads import Work
from holychat.domain.usage import Cost
from holychat.jobs.roads import facts_of
from holychat.log import Masker
from holychat.money.costs import Costs
from holychat.providers.registry import ProviderRegistry
from holychat.settings import JobSettings, Settings
from holychat.store import chats, submissions
from holychat.store.database import Database
from holychat.store.speeds import speed_of

if TYPE_CHECKING:
    from holychat.domain.roads import RoadFacts
    from holychat.store.database import Connection

WORK = Work(requests=10, input_tokens=1_000_000, output_tokens=1_000_000)


@pytest.fixture
def database() -> Database:
    return Database.open(None)


async def facts(database: Database, provider: str, model: str, settings: Settings | None = None) -> RoadFacts:
    settings = settings or Settings()
    masker = Masker()
    registry = ProviderRegistry(settings, KeyChain(settings, masker, {}), masker, {})
    return await facts_of(database, Costs(database, settings), registry, settings, provider, model, WORK)


def replied(connection: Connection, chat_id: int, seq: int, first_ms: int, elapsed_ms: int, model: str = "m") -> None:
    connection.execute(
        """
        INSERT INTO messages (chat_id, seq, position, role, state, created_ms, provider, model, first_token_ms,
            elapsed_ms)
        VALUES (?, ?, ?, 'assistant', 'complete', 1, 'openai', ?, ?, ?)
        """,
        (chat_id, seq, seq, model, first_ms, elapsed_ms),
    )


def test_the_speed_is_the_median_of_what_was_measured(database: Database) -> None:
    def write(connection: Connection) -> None:
        chat = chats.create(connection, ChatOptions("openai"), 1)
        for seq, (first, elapsed) in enumerate([(40, 1000), (50, 2000), (900, 60_000)], 1):
            replied(connection, chat.id, seq, first, elapsed)
        replied(connection, chat.id, 9, 1, 1, model="other")

    database.write_now(write)
    assert database.read_now(lambda c: speed_of(c, "openai", "m")) == (50, 2000, 3)
    assert database.read_now(lambda c: speed_of(c, "openai", "never")) == (None, None, 0)


async def test_prices_and_settings_are_facts(database: Database) -> None:
    settings = Settings(jobs=JobSettings(requests_per_minute={"holysheep": 500.0}, max_concurrency=7))
    known = await facts(database, "holysheep", "", settings)
    assert known.live_cost == Cost(520_000, estimated=True)  # deepseek-v3.2 at 0.10 and 0.42 per million
    assert (known.requests_per_minute, known.concurrency) == (500.0, 7)


async def test_whether_there_is_a_batch_service_is_known_only_once_it_was_asked(database: Database) -> None:
    assert (await facts(database, "openai", "gpt-4.1")).batch_service is None
    url = "https://api.openai.com/v1"
    now_ms = 4_000_000_000_000
    database.write_now(lambda c: submissions.found_out(c, "openai", url, True, now_ms))
    assert (await facts(database, "openai", "gpt-4.1")).batch_service is True
    assert (await facts(database, "offline", "")).batch_service is False
