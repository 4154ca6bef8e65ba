"""Make every picture of this folder from the running app: `python screenshots/make.py`.

The app runs in a home of its own. In most pictures the offline provider does real work on this repository's own text.
The first picture of the README (`chat`) shows a reply of a scripted server on this machine, held in the middle of its
stream: the app, the connection and the figures are real, the words were written for the picture by us and not by a
model. What was spent in the pictures of costs (`costs`) is made up, at the prices of the list.

SVG pictures come in dark and light; README's first picture is also made as PNG where rsvg-convert or chromium is
there to do it.
"""

from __future__ import annotations

import asyncio
import html
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from holychat.tui.app import HolychatApp

HERE = Path(__file__).resolve().parent
COLUMNS, ROWS = 104, 32
DEADLINE = 60.0
CELL = 12.2
"""Width of a cell in the SVG that Textual writes, in its own units."""
FONT = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"

ARTICLE = """\
Live streaming and batch processing are two roads to the same model. Streaming sends each token as soon as it is made, \
so the first word appears in well under a second and a person can read along. Batch processing collects many requests \
and answers them later, often for half the price. Whoever waits at the screen cares about the first token; whoever \
pushes a thousand documents through a model overnight cares about throughput and cost. A good tool offers both roads \
and says which one it took. The price of a reply is known only when the provider reports its usage, so an estimate \
must be marked as one."""

QUESTION = "How do I add up a column of a CSV file that is too large for memory?"
REPLY = """\
## Read it row by row

- `csv.DictReader` holds **one row** at a time, however long the file is.
- The generator turns rows into numbers while they are read.
- A cell that is no number stops it with its row: nothing is dropped silently.

```python
import csv

def total(path: str, column: str) -> float:
    with open(path, newline="") as file:
        rows = csv.DictReader(file)  # nothing is read yet
        return sum(float(row[column]) for row in rows)
```

| Way              | In memory  | Passes |
| ---------------- | ---------- | -----: |
| `file.read()`    | whole file |      1 |
| `csv.DictReader` | one row    |      1 |

So the time grows with the file, but the memory does not. To go on after a bad cell, catch the `ValueError` and
count the """
DRAFT = "And with polars, would that be"


class Session:
    """The app under a pilot, with pictures."""

    def __init__(self, app: HolychatApp, pilot: Pilot[int], theme: str) -> None:
        self.app = app
        self.pilot = pilot
        self.theme = theme.removeprefix("holychat-")
        app.main.composer.cursor_blink = False  # a picture has no luck with the moment

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something to be on the screen."""
        end = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("the app did not come to the state of the picture")
            await self.pilot.pause(0.02)
        await self.pilot.pause(0.2)

    async def say(self, text: str) -> None:
        """Send a text and wait for the reply."""
        self.app.main.composer.set_text(text)
        await self.pilot.press("enter")
        main = self.app.main
        await self.until(lambda: main.conversation.last is not None and main.conversation.reply is None)

    def picture(self, name: str) -> Path:
        """Write the screen as it is now."""
        file = HERE / f"{name}-{self.theme}.svg"
        file.write_text(portable(self.app.export_screenshot(title="holychat")), encoding="utf-8")
        return file


def portable(svg: str) -> str:
    """An SVG that looks the same everywhere: no font from the network, and spaces that no renderer can fold."""
    svg = re.sub(r"@font-face\s*{[^}]*}", "", svg)
    svg = re.sub(r"font-family: [^;]*Fira Code[^;]*;", f"font-family: {FONT};", svg)
    svg = re.sub(r"font-size: 20px", "font-size: 20.26px", svg)
    svg = re.sub(r"terminal-\d+", "terminal", svg)
    return re.sub(r"<text( [^>]*textLength[^>]*)>([^<]*)</text>", _tight, svg)


def _tight(match: re.Match[str]) -> str:
    attributes, text = match.group(1), html.unescape(match.group(2)).replace("\xa0", " ")
    kept = text.strip(" ")
    if not kept:
        return ""
    lead = len(text) - len(text.lstrip(" "))
    spare = len(text) - len(kept)
    attributes = _shifted(attributes, " x", lead * CELL)
    attributes = _shifted(attributes, " textLength", -spare * CELL)
    return f"<text{attributes}>{html.escape(kept).replace(' ', '&#160;')}</text>"


def _shifted(attributes: str, name: str, by: float) -> str:
    return re.sub(
        rf'{name}="([\d.]+)"', lambda found: f'{name}="{float(found.group(1)) + by:.1f}"', attributes, count=1
    )


def png(svg: Path) -> None:
    """Make a PNG beside an SVG, if a tool for it is there."""
    target = svg.with_suffix(".png")
    if shutil.which("rsvg-convert"):
        subprocess.run(["rsvg-convert", "-w", "1600", "-o", str(target), str(svg)], check=True)
    elif browser := shutil.which("chromium") or shutil.which("google-chrome"):
        size = "--window-size=1600,1040"
        subprocess.run([browser, "--headless", f"--screenshot={target}", size, svg.as_uri()], check=True)
    else:
        print(f"no rsvg-convert or chromium: {target.name} is left as it is", file=sys.stderr)


async def take(theme: str) -> None:
    """All pictures of one theme."""
    import msgspec

    from holychat.paths import Paths
    from holychat.settings import ChatSettings, Settings, UiSettings
    from holychat.tui.app import HolychatApp

    settings = Settings(chat=ChatSettings(provider="offline"), ui=UiSettings(theme=theme))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ["HOLYCHAT_HOME"] = home
        config = Paths.resolve().config_file  # read by the worker of the jobs, which is to end soon
        config.parent.mkdir(parents=True)
        config.write_text("[jobs]\nidle_seconds = 1\n", encoding="utf-8")
        app = HolychatApp(Paths.resolve(), settings)
        async with app.run_test(size=(COLUMNS, ROWS)) as pilot:
            session = Session(app, pilot, theme)
            await session.until(lambda: app.is_ready)
            session.picture("welcome")
            await offline_pictures(session)
            await job_pictures(session)
            await later_picture(session)
            await dialog_pictures(session)
        await app.close_services()
        without_key = msgspec.structs.replace(settings, chat=ChatSettings(provider="holysheep"))
        app = HolychatApp(Paths.resolve(), without_key)
        async with app.run_test(size=(COLUMNS, ROWS)) as pilot:
            session = Session(app, pilot, theme)
            await session.until(lambda: type(app.screen).__name__ == "FirstRunScreen")
            await pilot.pause(1)  # until no local server was found
            session.picture("first-run")
        await app.close_services()


async def live_picture(theme: str) -> None:
    """A reply that is arriving from a scripted server, and the next question being typed meanwhile."""
    from holychat.paths import Paths
    from holychat.settings import ChatSettings, ProviderSettings, Settings, UiSettings
    from holychat.tui.app import HolychatApp
    from tests.support.loopback import Loopback
    from tests.support.script import Gate, Pause, events_reply, reply_events

    tokens = re.findall(r"\s*\S+|\s+$", REPLY)
    events = reply_events(tokens, finish=None, usage=None, done=False)
    paced = [piece for event in events for piece in (event, Pause(0.012))]
    with Loopback() as server, tempfile.TemporaryDirectory() as home:
        server.chat(events_reply([Pause(0.18), *paced, Gate()]))
        os.environ["HOLYCHAT_HOME"] = home
        settings = Settings(
            chat=ChatSettings(provider="local", model="demo-model"),
            providers={"local": ProviderSettings(kind="openai", base_url=server.base_url, needs_key=False)},
            ui=UiSettings(theme=theme),
        )
        app = HolychatApp(Paths.resolve(), settings)
        async with app.run_test(size=(COLUMNS, ROWS)) as pilot:
            session = Session(app, pilot, theme)
            await session.until(lambda: app.is_ready)
            app.main.composer.set_text(QUESTION)
            await pilot.press("enter")
            characters = len("".join(tokens))
            reply = app.main.conversation
            await session.until(lambda: reply.reply is not None and reply.reply.characters >= characters)
            app.main.composer.set_text(DRAFT)
            await pilot.pause(0.3)
            png(session.picture("chat"))
        await app.close_services()


def made_up_spending(database: Path) -> None:
    """A month of requests in an empty history: numbers made up for the picture, prices from the list."""
    from holychat.catalog.prices import PriceBook
    from holychat.domain.usage import Usage
    from holychat.store.database import Database

    dice, book, now = random.Random(8), PriceBook(), time.time_ns() // 900_000_000_000
    shares = (("gpt-4.1", 6), ("claude-sonnet-4.5", 2), ("gemini-2.5-flash", 9), ("deepseek-v3.2", 40))
    rows = []
    for day in range(31):
        for model, share in shares:
            requests = dice.randrange(4 * share) if dice.random() < 0.85 else 0
            usage = Usage(requests * dice.randrange(900, 3000), requests * dice.randrange(200, 700))
            cost = book.cost_of("holysheep", model, usage)
            if requests and cost is not None:
                tokens = (usage.input_tokens, usage.output_tokens)
                rows.append(
                    (now - 96 * day, 1, 0, "holysheep", model, requests, requests // 12, 0, cost.micros, *tokens)
                )
    rows.append((now, 1, 0, "local", "qwen3:8b", 3, 0, 3, 0, 4100, 900))
    history = Database.open(database)
    history.write_now(lambda c: c.executemany("INSERT INTO spending VALUES (?,?,?,?,?,?,?,?,?,?,?)", rows))
    history.close()


async def cost_pictures(theme: str) -> None:
    """What was spent, on a small screen and on a large one."""
    from decimal import Decimal

    from holychat.paths import Paths
    from holychat.settings import ChatSettings, LimitSettings, Settings, UiSettings
    from holychat.tui.app import HolychatApp

    limits = LimitSettings(day=Decimal(2), month=Decimal(20))
    settings = Settings(chat=ChatSettings(provider="offline"), limits=limits, ui=UiSettings(theme=theme))
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOLYCHAT_HOME"] = home
        made_up_spending(Paths.resolve().database)
        for name, size in (("costs-small", (80, 24)), ("costs", (120, 40))):
            app = HolychatApp(Paths.resolve(), settings)
            async with app.run_test(size=size) as pilot:
                session = Session(app, pilot, theme)
                await session.until(lambda app=app: app.is_ready)
                await pilot.press("f3")
                await session.until(lambda app=app: getattr(app.screen, "overview", None) is not None)
                await pilot.press("left")
                await pilot.pause(0.3)
                session.picture(name)
            await app.close_services()


async def road_pictures(theme: str) -> None:
    """The roads for this repository at OpenAI's prices, on a small screen and on a large one; nothing is sent."""
    from holychat.paths import Paths
    from holychat.settings import ChatSettings, Settings, UiSettings
    from holychat.store import submissions
    from holychat.tui.app import HolychatApp

    settings = Settings(chat=ChatSettings(provider="openai", model="gpt-4.1"), ui=UiSettings(theme=theme))
    for name, size in (("roads-small", (80, 24)), ("roads", (120, 40))):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            os.environ["HOLYCHAT_HOME"] = home
            app = HolychatApp(Paths.resolve(), settings)
            async with app.run_test(size=size) as pilot:
                session = Session(app, pilot, theme)
                await session.until(lambda app=app: type(app.screen).__name__ == "FirstRunScreen")
                await pilot.press("escape")
                services = app.services
                assert services is not None
                url, now = services.registry.info("openai").base_url, time.time_ns() // 1_000_000
                await services.database.write(
                    lambda c, url=url, now=now: submissions.found_out(c, "openai", url, True, now)
                )
                await pilot.press("f4", "n")
                await session.until(lambda app=app: getattr(app.focused, "id", "") == "where")
                await pilot.press(*"holychat", "enter")
                await session.until(lambda app=app: getattr(app.focused, "id", "") == "review-send")
                await pilot.press("c")
                await session.until(lambda app=app: type(app.screen).__name__ == "RoadsScreen")
                app.clear_notifications()
                await pilot.pause(0.3)
                session.picture(name)
            await app.close_services()


async def later_picture(session: Session) -> None:
    """A question that was asked for later, and the answer where it landed."""
    main = session.app.main
    await session.pilot.press("ctrl+n")
    await session.until(lambda: main.conversation.chat is None)
    await session.say("What does holychat do with a key?")
    main.composer.set_text("/later What is batch processing?")
    await session.pilot.press("enter")
    await session.until(lambda: main.transcript.message_count == 4)
    session.picture("later")
    session.app.clear_notifications()


async def offline_pictures(session: Session) -> None:
    """A conversation with a file, a question that waits for its turn, the marked message."""
    main = session.app.main
    readme = HERE.parent / "README.md"
    await session.say("How do I add a key?")
    await session.pilot.press("ctrl+n")
    await session.until(lambda: main.conversation.chat is None)
    await session.say(f"Summarise this in a few sentences:\n\n{ARTICLE}")
    main.composer.set_text(f"/attach {readme}")
    await session.pilot.press("enter")
    await session.until(lambda: main.drafts.shown.files)
    main.composer.set_text("What does the README say?")
    await session.pilot.press("enter")
    await session.until(lambda: main.conversation.reply is not None and main.conversation.reply.characters > 240)
    main.composer.set_text("and how do I start it?")
    await session.pilot.press("enter")
    await session.until(lambda: main.drafts.shown.queued)
    session.picture("waiting")
    await session.until(lambda: main.transcript.message_count == 6 and main.conversation.last is not None)
    session.picture("answered")
    await session.pilot.press("up")
    await session.until(lambda: main.pane.has_focus)
    session.picture("message")
    await session.pilot.press("escape")


async def job_pictures(session: Session) -> None:
    """A folder of this repository sent over the offline provider: form, review, the panel at work, the job."""
    from holychat.domain.jobs import JobState
    from holychat.tui.widgets.completion_list import CompletionList

    app, pilot = session.app, session.pilot
    await pilot.press("f4", "n")
    await session.until(lambda: getattr(app.focused, "id", "") == "where")
    await pilot.press(*"holychat/h")
    await session.until(lambda: app.screen.query_one("#job-form").query(CompletionList).first().choices)
    session.picture("new-job")
    await pilot.press("tab", "enter")
    await session.until(lambda: getattr(app.focused, "id", "") == "review-send")
    session.picture("review")
    await pilot.press("enter")
    await session.until(lambda: [job.state for job in app.jobs_shown] == [JobState.FINISHED])
    await pilot.press("n")
    await session.until(lambda: getattr(app.focused, "id", "") == "where")
    await pilot.press(*"holychat", "enter")
    await session.until(lambda: getattr(app.focused, "id", "") == "review-send")
    await pilot.press("enter")
    await session.until(lambda: app.jobs_shown[0].counts.ended >= app.jobs_shown[0].counts.total // 3 > 0)
    app.clear_notifications()
    session.picture("panel")
    await pilot.press("enter")
    await session.until(lambda: type(app.screen).__name__ == "JobScreen" and app.screen.detail is not None)
    session.picture("job")
    await session.until(lambda: app.jobs_shown[0].ended_ms is not None)
    await pilot.press("escape", "f4")
    app.clear_notifications()


async def dialog_pictures(session: Session) -> None:
    """Slash commands, chats, models, help, palette."""
    app = session.app
    app.main.focus_composer()
    app.main.composer.insert("/")
    await session.until(lambda: app.main.composer.completing)
    session.picture("commands")
    await session.pilot.press("escape", "backspace")
    for key, name in (("ctrl+s", "chats"), ("ctrl+l", "models"), ("f1", "help"), ("ctrl+p", "palette")):
        await session.pilot.press(key)
        await session.until(lambda: app.screen is not app.main)
        await session.pilot.pause(0.5)
        session.picture(name)
        await session.pilot.press("escape")
        await session.until(lambda: app.screen is app.main)


def main() -> None:
    """Both themes."""
    sys.path.insert(0, str(HERE.parent))  # for the scripted server of the tests
    os.chdir(HERE.parent)  # paths are typed as in a clone
    os.environ["TEXTUAL_ANIMATIONS"] = "none"
    os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
    os.environ.setdefault("HOLYCHAT_OFFLINE_PACE", "60")
    for name in ("NO_COLOR", "HOLYSHEEP_API_KEY", "OPENAI_API_KEY"):
        os.environ.pop(name, None)
    for theme in ("holychat-dark", "holychat-light"):
        asyncio.run(live_picture(theme))
        asyncio.run(take(theme))
        asyncio.run(cost_pictures(theme))
        asyncio.run(road_pictures(theme))


if __name__ == "__main__":
    main()
