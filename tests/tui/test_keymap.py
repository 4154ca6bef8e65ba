"""The table of keys and the person's own ones."""

from __future__ import annotations

import pytest

from holychat.errors import SettingsError
from holychat.tui.keymap import KEYS, bindings, check_keymap, is_key, key_label, keys_in_force
from holychat.tui.widgets.transcript import Transcript
from tests.tui.driving import driving, settings_for


def test_every_binding_has_an_id_of_its_own_and_help() -> None:
    ids = [key.id for key in KEYS]
    assert len(ids) == len(set(ids))
    assert all(key.id and key.help and key.label and key.keys for key in KEYS)


def test_the_default_keys_do_not_clash_and_exist() -> None:
    assert check_keymap({}) == {}
    assert all(is_key(key) for keys in keys_in_force({}).values() for key in keys)


def test_no_key_of_ours_takes_an_editing_key_from_the_text_area() -> None:
    from textual.binding import Binding
    from textual.widgets import TextArea

    editing = {binding.key for binding in Binding.make_bindings(TextArea.BINDINGS)} - {"ctrl+c", "super+c"}
    for scope in ("app", "chat", "composer"):
        ours = {binding.key for binding in Binding.make_bindings(bindings(scope))}
        assert not ours & editing


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"chat.nwe": "f5"}, 'there is no "chat.nwe", did you mean "chat.new"?'),
        ({"chat.new": "ctrl+banana"}, '"ctrl+banana" is not the name of a key'),
        ({"chat.new": "control+n"}, '"control+n" is not the name of a key'),
        ({"chat.new": " , "}, '"chat.new" has no key'),
        ({"chat.new": "ctrl+s"}, '"ctrl+s" is both'),
    ],
)
def test_a_wrong_keymap_is_a_settings_error_that_names_it(keys: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_keymap(keys)
    assert said in caught.value.title


def test_keys_are_written_as_people_write_them() -> None:
    assert key_label("ctrl+n") == "Ctrl+N"
    assert key_label("ctrl+n", short=True) == "^N"
    assert key_label("escape") == "Esc"
    assert key_label("f4") == "F4"
    assert key_label("shift+enter") == "Shift+Enter"


async def test_a_remapped_key_works_and_its_default_does_not() -> None:
    settings = settings_for(keys={"chat.panel": "f9", "composer.send": "ctrl+enter", "composer.newline": "enter"})
    async with driving(settings) as app:
        await app.press("f4")
        assert not app.app.main.query("#panel")
        await app.press("f9")
        await app.until(lambda: app.app.main.query("#panel"))
        await app.press("escape")
        await app.until(lambda: app.app.main.composer.has_focus)
        await app.type("one")
        await app.press("enter")
        await app.type("two")
        assert app.composer == "one\ntwo"


async def test_an_unknown_theme_is_a_settings_error() -> None:
    from holychat.paths import Paths
    from holychat.settings import UiSettings
    from holychat.tui.app import HolychatApp

    with pytest.raises(SettingsError, match="there is no theme"):
        HolychatApp(Paths.resolve(), settings_for(ui=UiSettings(theme="banana")))


async def test_names_of_keys_are_whole_in_the_help_of_a_usual_terminal() -> None:
    async with driving(settings_for(), size=(80, 24)) as app:
        await app.press("f1")
        await app.screen("HelpScreen")
        page = app.app.screen.query_one(Transcript)
        await app.shows("chat.stop")
        shown = set(app.text().split())
        while page.scroll_offset.y < page.max_scroll_y:
            await app.press("pagedown")
            shown |= set(app.text().split())
        assert {key.id for key in KEYS} - shown == set()
