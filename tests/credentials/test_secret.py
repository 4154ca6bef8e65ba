"""A key never shows itself."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holychat.credentials.answer import KeyAnswer, KeySource
from holychat.credentials.secret import Secret, checked_secret
from holychat.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "sk-Zq8vN3xW5tR7yU1o"
SHOWN: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda secret: f"{secret} {secret!r} {secret!s:>40} {secret:x^60}",
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
    "in a list": lambda secret: str([secret, (secret,), {"a": secret}]),
    "in an answer": lambda secret: str(KeyAnswer(secret, KeySource.MEMORY)),
    "in an answer as a dict": lambda secret: str(asdict(KeyAnswer(secret, KeySource.MEMORY))),
    "copied": lambda secret: f"{copy.copy(secret)} {copy.deepcopy([secret])}",
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_key_does_not_show_when_printed(name: str) -> None:
    assert KEY not in SHOWN[name](Secret(KEY))
    assert KEY[4:] not in SHOWN[name](Secret(KEY))


def test_a_key_does_not_show_in_a_log_record(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("key %s %r", Secret(KEY), [Secret(KEY)])
    assert KEY not in caplog.text


@pytest.mark.parametrize("dump", [pickle.dumps, json.dumps, copy.replace if hasattr(copy, "replace") else json.dumps])
def test_a_key_cannot_be_written_out(dump: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError) as caught:
        dump(Secret(KEY))
    assert KEY not in str(caught.value)


def test_a_key_has_no_attributes_to_look_into() -> None:
    with pytest.raises(TypeError):
        vars(Secret(KEY))
    with pytest.raises(TypeError):
        hash(Secret(KEY))


def test_keys_are_equal_by_value_and_reveal_it_when_asked() -> None:
    assert Secret(KEY) == Secret(KEY)
    assert Secret(KEY) != Secret(KEY + "x")
    assert Secret(KEY) != KEY
    assert Secret(KEY).reveal() == KEY


def test_white_space_around_a_key_is_taken_away() -> None:
    assert checked_secret(f" \t{KEY}\r\n", "it").reveal() == KEY


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "no key"),
        (" \n", "no key"),
        ("sk-1 sk-2", "character 5 is white space"),
        ("sk-1\nX-Header: 1", "character 5 is white space"),
        ("sk-\x1b[31m", "character 4 is a control character"),
        ("sk-\x7f", "character 4 is a control character"),
        ("sk–1", "character 3 is not plain ASCII"),
        ("sk-\u202e1", "character 4 is not plain ASCII"),
        ("x" * 9000, "too long"),
    ],
)
def test_what_cannot_be_a_key_is_refused_with_its_place_and_without_its_text(value: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked_secret(value, "THE_VARIABLE")
    assert said in caught.value.title
    assert "THE_VARIABLE" in caught.value.title
    assert not value.strip() or value.strip() not in str(caught.value)


@given(st.text(min_size=1, max_size=60))
def test_only_printable_ascii_without_spaces_gets_through(value: str) -> None:
    stripped = value.strip()
    fits = bool(stripped) and all("\x21" <= character <= "\x7e" for character in stripped)
    if fits:
        assert checked_secret(value, "it").reveal() == stripped
    else:
        with pytest.raises(UsageError):
            checked_secret(value, "it")
