"""Nothing that others wrote can steer the terminal, run an action or end the app."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from holychat.tui.line_filter import NoColourFilter, UntrustedTextFilter
from holychat.tui.links import checked_address
from tests.support.script import error_reply, stream_of
from tests.tui.driving import driving, settings_for

if TYPE_CHECKING:
    from tests.support.loopback import Loopback

PAYLOADS = (
    "\x1b]52;c;cGF3bmVk\x07\x1b]0;title\x1b\\\x1b[31mred\x9b31m\x90dcs\x9c\x7f\x00\x0e",
    "&#x202E;&#x9b;\u202eevil\u2066\U000e0041",
    "[/INST] [@click=app.quit]press[/] [/] [#zzzzzz]x[/] [link=https://a.b/c]x[/link]",
    "Z" + "\u0301" * 60,
)
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")


def painted(app: Any) -> str:
    """Every character that goes to the terminal for the screen on top."""
    return "".join(
        segment.text for strip in app.app.screen._compositor.render_strips() for segment in strip if not segment.control
    )


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_a_reply_a_title_a_model_an_error_and_a_notice_are_only_text(loopback: Loopback, payload: str) -> None:
    loopback.chat(stream_of("reply ", *payload), error_reply(400, payload))
    loopback.models(payload, "plain")
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.shows("reply")
        assert not UNSAFE.search(painted(app))
        chat = app.app.main.conversation.chat
        assert chat is not None
        await app.app.main.rename(f"title {payload}")
        app.app.notify(payload, title=payload)
        await app.pilot.pause()
        await app.press("ctrl+s")
        await app.screen("ChatsScreen")
        await app.shows("title")
        assert not UNSAFE.search(painted(app))
        await app.press("down", "delete")
        await app.screen("ConfirmScreen")
        assert not UNSAFE.search(painted(app))
        await app.press("escape", "escape", "ctrl+l")
        await app.screen("ModelsScreen")
        await app.shows("3 models")
        assert not UNSAFE.search(painted(app))
        await app.press("escape")
        await app.send("again")
        await app.until(lambda: not app.busy and len(loopback.requests) > 2)
        assert not UNSAFE.search(painted(app))
        await app.press("ctrl+p")
        await app.screen("PatientPalette")
        await app.press(*"rename")
        await app.shows("title")
        assert not UNSAFE.search(painted(app))
        await app.press("escape")
        assert app.app.is_running


async def test_clicking_an_action_in_a_reply_or_a_notice_does_nothing(loopback: Loopback) -> None:
    loopback.chat(stream_of("[@click=app.quit]press here[/]"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.shows("press here")
        row = next(number for number, line in enumerate(app.lines()) if "press here" in line)
        await app.pilot.click(offset=(app.lines()[row].index("press") + 1, row))
        app.app.notify("[@click=app.quit]press there[/]")
        await app.shows("press there")
        row = next(number for number, line in enumerate(app.lines()) if "press there" in line)
        await app.pilot.click(offset=(app.lines()[row].index("there") + 1, row))
        await app.pilot.pause()
        assert app.app.is_running


async def test_a_link_opens_only_after_its_real_address_was_shown(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    loopback.chat(stream_of("Go to [bank.com](https://user@bücher.example/x) or [it](ssh://evil/)"))
    async with driving(settings_for(loopback)) as app:
        monkeypatch.setattr(app.app, "open_url", opened.append)
        await app.asked("question")
        main = app.app.main
        main.transcript.post_message(main.transcript.LinkActivated("ssh://evil/"))
        await app.notified("Only http and https")
        line = next(line for line in app.lines() if "bank.com" in line)
        await app.pilot.click(offset=(line.index("bank.com") + 2, app.lines().index(line)))
        await app.screen("ConfirmScreen")
        await app.shows("https://xn--bcher-kva.example/x")
        assert opened == []
        await app.press("y")
        await app.until(lambda: opened == ["https://xn--bcher-kva.example/x"])


@pytest.mark.parametrize(
    ("url", "real"),
    [
        ("https://example.com/a?b=c#d", "https://example.com/a?b=c#d"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("https://paypal.com@evil.example/", "https://evil.example/"),
        ("https://аpple.com/", "https://xn--pple-43d.com/"),
        ("file:///etc/passwd", None),
        ("%66ile:///etc/passwd", None),
        ("javascript:alert(1)", None),
        ("vscode://x", None),
        ("/etc/passwd", None),
        ("--help", None),
        ("https://-evil.example/", None),
        ("https://a b.example/", None),
        ("https://x:99999/", None),
        ("https://e\u202eval.example/", None),
    ],
)
def test_addresses_are_checked_and_shown_as_they_are(url: str, real: str | None) -> None:
    assert checked_address(url) == real


def test_the_filter_deletes_characters_and_leaves_clean_segments_alone() -> None:
    black = Color(0, 0, 0)
    clean = [Segment("plain ünïcode 日本 👨‍👩‍👧", Style(bold=True))]
    assert UntrustedTextFilter().apply(clean, black)[0].text == clean[0].text
    dirty = [Segment("a\x1b[31mb\u202ec\x9bd\te", Style(bold=True))]
    assert UntrustedTextFilter().apply(dirty, black) == [Segment("a[31mbcd e", Style(bold=True))]
    ascii_only = [Segment("plain")]
    assert UntrustedTextFilter().apply(ascii_only, black) is ascii_only


def test_no_colour_leaves_only_what_is_no_colour() -> None:
    (segment,) = NoColourFilter().apply([Segment("x", Style(color="red", bgcolor="blue", bold=True))], Color(0, 0, 0))
    assert segment.style is not None
    assert (segment.style.color, segment.style.bgcolor, segment.style.bold) == (None, None, True)
