"""A desk in this process: services with a home of their own, an engine, a provider on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from holychat.domain.jobs import ItemState, JobLimits, JobSpec, JobState, Kind, Recipe, Source, SourceKind
from holychat.jobs import commands
from holychat.jobs.engine import Engine
from holychat.paths import Paths
from holychat.services import open_services
from holychat.settings import JobSettings, PriceSettings, ProviderSettings, Settings
from holychat.store import jobs
from holychat.store.database import Database
from tests.support.script import DEADLINE, Gate, Request, Script, json_reply, whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from holychat.domain.jobs import Item, Job
    from holychat.services import Services
    from holychat.store.database import Connection

SUMMARIZE = Recipe(Kind.SUMMARIZE, length="2 sentences")


class Desk:
    """Everything a test of the engine needs. `async with Desk(tmp_path, url) as desk:`."""

    def __init__(self, folder: Path, url: str, **settings: Any) -> None:
        self.folder = folder
        self._paths = Paths.resolve({"HOLYCHAT_HOME": str(folder / "home")})
        provider = ProviderSettings(kind="openai", base_url=url, model="m", needs_key=False)
        price = PriceSettings(input=Decimal(1), output=Decimal(2))
        dear = PriceSettings(input=Decimal(100), output=Decimal(200))
        rate = JobSettings(requests_per_minute={"here": 600_000.0}, **settings.pop("jobs", {}))
        self._settings = Settings(
            providers={"here": provider}, prices={"here": {"m": price, "dear": dear}}, jobs=rate, **settings
        )
        self.services: Services
        self.window: Database
        """The same history as another process has it open."""
        self._made = 0

    async def __aenter__(self) -> Desk:
        self.services = open_services(self._paths, self._settings, {})
        self.window = Database.open(self._paths.database)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.services.close()
        self.window.close()

    def documents(self, *texts: str) -> Path:
        """A new folder with these documents, in order."""
        folder = self.folder / f"documents-{self._made}"
        self._made += 1
        folder.mkdir()
        for number, text in enumerate(texts):
            (folder / f"{number:04d}.txt").write_text(text, encoding="utf-8")
        return folder

    async def order(
        self, folder: Path, recipe: Recipe = SUMMARIZE, limits: JobLimits | None = None, **spec: Any
    ) -> int:
        """A job that waits for the engine."""
        source = Source(SourceKind.PATH, str(folder))
        ordered = JobSpec(
            "test",
            recipe,
            spec.pop("sources", (source,)),
            spec.pop("provider", "here"),
            spec.pop("model", "m"),
            limits=limits or JobLimits(),
            **spec,
        )

        def unit(connection: Connection) -> int:
            job = jobs.create(connection, ordered, now_ms())
            return commands.confirm(connection, job.id, ordered.limits.trial, now_ms()).id

        return await self.window.write(unit)

    async def work(self) -> None:
        """Let an engine work until there is nothing to do."""
        async with asyncio.timeout(DEADLINE):
            await Engine(self.services, "test").run(0, 1)

    @contextlib.asynccontextmanager
    async def engine(self, grace: float = 1.0) -> AsyncIterator[Engine]:
        """An engine that stays, and ends with the block."""
        engine = Engine(self.services, "test")
        task = asyncio.create_task(engine.run(None, grace))
        try:
            yield engine
        finally:
            engine.stop()
            async with asyncio.timeout(DEADLINE):
                await task

    async def command(self, work: Callable[[Connection], Any]) -> Any:
        """What a screen or a shell does, in a transaction of its own."""
        return await self.window.write(work)

    async def job(self, job_id: int) -> Job:
        return await self.services.jobs.get(job_id)

    async def items(self, job_id: int) -> list[Item]:
        return await self.services.jobs.items(job_id, 0, 10_000)

    async def states(self, job_id: int) -> list[ItemState]:
        return [item.state for item in await self.items(job_id)]

    async def results(self, job_id: int) -> list[str | None]:
        return [(await self.services.jobs.item(item.id)).result for item in await self.items(job_id)]

    async def until(self, job_id: int, condition: Callable[[Job], bool]) -> Job:
        """Wait until something holds for a job."""
        end = time.monotonic() + DEADLINE
        while not condition(job := await self.job(job_id)):
            assert time.monotonic() < end, job
            await asyncio.sleep(0.01)
        return job

    async def until_state(self, job_id: int, *states: JobState) -> Job:
        return await self.until(job_id, lambda job: job.state in states)

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Rows of the database, or a change made behind everybody's back."""
        return self.window.write_now(lambda c: c.execute(statement, values).fetchall())


def prompt_of(request: Request) -> str:
    """What the person's message of a request says."""
    text: str = json.loads(request.body)["messages"][-1]["content"]
    return text


def echo(request: Request) -> Script:
    """Answers with the last line of the document."""
    lines = prompt_of(request).split("</file>")[0].strip().splitlines()
    return whole(f"about {lines[-1]}")


def answer(text: str, input_tokens: int = 10, output_tokens: int = 5, finish: str = "stop") -> Script:
    """A reply that took so many tokens."""
    message = {"role": "assistant", "content": text}
    usage = {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }
    return json_reply({
        "id": "1", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    })  # fmt: skip


def gated(gate: Gate, text: str = "late") -> Script:
    return replace(answer(text), pieces=[gate, *answer(text).pieces])


def now_ms() -> int:
    return time.time_ns() // 1_000_000
