"""Money and tokens on the screen: the cost screen, the question before a limit is passed, the bar of the context."""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from holychat.domain.spending import Share, Spent, Unsettled
from holychat.domain.usage import ContextUse
from holychat.money.costs import Overview
from holychat.money.limits import Limit
from holychat.paths import Paths
from holychat.settings import parse_settings
from holychat.store.database import Database
from holychat.tui.screens.costs import CostScreen
from holychat.tui.widgets.cost_view import painted
from holychat.tui.widgets.status_line import Facts, StatusLine, right_pieces
from tests.support.script import events_reply, reply_events
from tests.tui.driving import driving

if TYPE_CHECKING:
    from holychat.settings import Settings
    from holychat.store.database import Connection
    from tests.support.loopback import Loopback
    from tests.tui.driving import Driver

PRICED = '[prices.test."model-one"]\ninput = 10\noutput = 20\ncontext = 1000\n'
STYLES = dict.fromkeys(("title", "name", "muted", "bar", "marked", "warning", "error"), "")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-test-0123456789abcdef0123456789abcdef")


def with_money(loopback: Loopback, more: str = "") -> Settings:
    return parse_settings(
        '[chat]\nprovider = "test"\nmodel = "model-one"\n[ui]\ncopy_command = "cat"\n'
        f'[providers.test]\nkind = "openai"\nbase_url = "{loopback.base_url}"\nkey_env = "TEST_KEY"\n{PRICED}{more}'
    )


def replies(loopback: Loopback, input_tokens: int, output_tokens: int) -> None:
    loopback.chat(events_reply(reply_events(["fine"], usage=(input_tokens, output_tokens))))


def spend(connection: Connection, days_ago: int, micros: int, model: str = "elsewhere") -> None:
    quarter = (time.time_ns() // 1_000_000 - days_ago * 86_400_000) // 900_000
    connection.execute("INSERT INTO spending VALUES (?, 7, 0, 'test', ?, 1, 0, 0, ?, 10, 5)", (quarter, model, micros))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (44, 14)])
async def test_f3_shows_what_was_spent_by_model_and_by_day(loopback: Loopback, size: tuple[int, int]) -> None:
    async with driving(with_money(loopback, "[limits]\nday = 100\n"), size=size) as app:
        replies(loopback, 1000, 500)
        await app.asked("hello")
        await app.press("f3")
        await app.screen("CostScreen")
        await app.shows("$0.02")
        for part in ("Today", "Day limit", "By model", "model-one"):
            assert part in app.text()
        await app.press("escape")
        await app.screen("ChatScreen")


async def test_the_command_and_the_palette_lead_there_too(loopback: Loopback) -> None:
    async with driving(with_money(loopback)) as app:
        await app.send("/cost")
        await app.screen("CostScreen")
        await app.shows("Nothing was spent this month.")
        await app.press("escape", "ctrl+p")
        await app.screen("PatientPalette")
        await app.shows("What was spent, by model and by day, and what is left of limits")
        await app.type("costs\r")  # at once: all commands are still shown
        await app.screen("CostScreen")


async def test_days_and_months_are_walked_with_keys(loopback: Loopback) -> None:
    database = Database.open(Paths.resolve().database)
    for back, micros in ((0, 1_000_000), (1, 2_000_000), (40, 4_000_000)):
        database.write_now(lambda c, b=back, m=micros: spend(c, b, m))  # type: ignore[misc]
    database.close()
    async with driving(with_money(loopback)) as app:
        await app.press("f3")
        await app.shows("$1.00")
        screen = app.app.screen
        assert isinstance(screen, CostScreen)
        today = screen._costs.today()
        await app.press("left")
        yesterday = today - timedelta(days=1)
        await app.shows(f"{yesterday.day}  $2.00")
        await app.press("right", "right")
        await app.shows(f"{today.day}  $1.00")
        for _ in range(2):
            if screen.overview is not None and screen.overview.month.micros != 4_000_000:
                before = screen.overview.first
                await app.press("pageup")
                await app.until(lambda b=before: screen.overview is not None and screen.overview.first != b)  # type: ignore[misc]
        assert screen.overview is not None
        assert screen.overview.month.micros == 4_000_000
        await app.shows("$4.00")


async def test_what_another_process_spends_appears(loopback: Loopback) -> None:
    async with driving(with_money(loopback)) as app:
        await app.press("f3")
        await app.screen("CostScreen")
        other = Database.open(Paths.resolve().database)
        other.write_now(lambda c: spend(c, 0, 3_000_000))
        other.close()
        await app.shows("elsewhere · test")


async def test_a_question_over_the_limit_waits_for_a_yes(loopback: Loopback) -> None:
    async with driving(with_money(loopback, "[limits]\nday = 0.01\n")) as app:
        await app.send("hello there")
        await app.screen("ConfirmScreen")
        await app.shows("today's limit of $0.01")
        assert loopback.requests == []
        await app.press("n")
        await app.screen("ChatScreen")
        assert app.composer == "hello there"
        assert loopback.requests == []
        replies(loopback, 10, 10)
        await app.press("enter")
        await app.screen("ConfirmScreen")
        await app.press("y")
        await app.until(lambda: app.app.main.conversation.last is not None and not app.busy, "the reply")
        assert app.composer == ""
        assert len(loopback.requests) == 1
        await app.shows("fine")


async def test_another_answer_over_the_limit_waits_for_a_yes(loopback: Loopback) -> None:
    async with driving(with_money(loopback, "[limits]\nday = 0.16\n")) as app:
        replies(loopback, 5000, 5000)
        await app.asked("hello")
        await app.send("/retry")
        await app.screen("ConfirmScreen")
        replies(loopback, 10, 10)
        await app.press("y")
        await app.until(lambda: len(loopback.requests) == 2 and not app.busy, "the other reply")


async def test_80_percent_of_a_limit_are_told_once(loopback: Loopback) -> None:
    async with driving(with_money(loopback, "[limits]\nmonth = 1\n")) as app:
        replies(loopback, 81_000, 100)
        await app.asked("hello")
        await app.notified("81 % of this month's limit of $1.00 is spent")
        replies(loopback, 10, 10)
        await app.asked("again")
        await app.pilot.pause(0.1)
        assert app.notices().count("this month's limit") == 1


def context(app: Driver) -> ContextUse | None:
    return app.app.main.query_one(StatusLine).facts.context


async def test_the_status_line_shows_how_full_the_context_would_be(loopback: Loopback) -> None:
    async with driving(with_money(loopback)) as app:
        replies(loopback, 400, 100)
        await app.asked("hello")
        await app.until(lambda: (use := context(app)) is not None and use.tokens == 500, "what was reported")
        await app.shows("━━━━──── 50 %")
        await app.type("word " * 8)
        await app.until(lambda: (use := context(app)) is not None and use.tokens > 505, "what is typed")
        await app.press("ctrl+n")
        await app.until(lambda: (use := context(app)) is None or use.tokens < 50, "another chat")


async def test_a_model_of_unknown_size_has_no_bar(loopback: Loopback) -> None:
    async with driving(with_money(loopback)) as app:
        replies(loopback, 400, 100)
        await app.asked("hello")
        await app.shows("50 %")
        await app.send("/model nobody-knows")
        await app.until(lambda: context(app) is None, "no bar")
        assert " %" not in app.lines()[-2]


async def test_a_request_that_will_not_fit_is_warned_of_before_it_is_sent(loopback: Loopback) -> None:
    async with driving(with_money(loopback)) as app:
        replies(loopback, 950, 40)
        await app.asked("hello")
        await app.until(lambda: (use := context(app)) is not None and use.tokens == 990)
        replies(loopback, 1, 1)
        app.app.main.composer.set_text("word " * 100)
        await app.press("enter")
        await app.notified("model-one reads and writes 1,000 at most")


@pytest.mark.parametrize(("tokens", "said"), [(1, "──────── 1 %"), (500, "━━━━──── 50 %"), (1300, "━━━━━━━━ 130 %")])
def test_the_bar_is_as_full_as_the_context(tokens: int, said: str) -> None:
    [piece] = right_pieces(Facts(context=ContextUse(tokens, 1000)))
    assert piece.text == said
    assert (piece.style == "warning") == (tokens > 800)


SPENT = st.builds(
    Spent, st.integers(1, 10**6), st.integers(0, 9), st.integers(0, 9), st.integers(0, 10**12), st.integers(0, 10**9),
    st.integers(0, 10**9),
)  # fmt: skip


@settings(max_examples=60)
@given(
    st.integers(10, 130), st.integers(3, 50), st.lists(st.tuples(st.text(max_size=50), SPENT), max_size=9),
    st.lists(SPENT, min_size=1, max_size=28), st.integers(0, 10**9),
)  # fmt: skip
def test_whatever_was_spent_fits_the_screen(
    width: int, height: int, models: list[tuple[str, Spent]], days: list[Spent], most: int
) -> None:
    first = date(2026, 2, 1)
    overview = Overview(
        first, date(2026, 2, 28), days[-1], days[0],
        tuple(Share(str(n), spent, day=first + timedelta(days=n)) for n, spent in enumerate(days)),
        tuple(Share(name, spent, provider="p\x1b[2J") for name, spent in models), Unsettled(3, 17, 1),
        (Limit("day", most, days[0], Unsettled(), first),),
    )  # fmt: skip
    lines = painted(overview, first, width, height, STYLES).plain.split("\n")
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)
    assert "\x1b" not in "".join(lines)
