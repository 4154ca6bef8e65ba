"""Files that go along, and those that do not."""

from __future__ import annotations

import hashlib
import os
import socket
from typing import TYPE_CHECKING

import pytest

from holychat.chat import attachments
from holychat.chat.attachments import load_file
from holychat.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Tiếng Việt 中文\r\n".encode(), "Tiếng Việt 中文\r\n"),
        (b"\xef\xbb\xbfwith a mark", "with a mark"),
        ("größe".encode("utf-16"), "größe"),
        (b"\xfe\xff" + "größe".encode("utf-16-be"), "größe"),
        (b"", ""),
    ],
)
def test_text_is_read_in_its_encoding(tmp_path: Path, data: bytes, text: str) -> None:
    file = tmp_path / "a b.txt"
    file.write_bytes(data)
    loaded = load_file(file)
    assert loaded.text == text
    assert (loaded.part.name, loaded.part.path, loaded.part.size) == ("a b.txt", str(file), len(data))
    assert loaded.part.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("data", [b"\x7fELF\x00\x01", b"caf\xe9", b"a\x00b", b"\xff\xfea", bytes(range(256))])
def test_what_is_not_text_is_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(data)
    with pytest.raises(UsageError, match="not a text file"):
        load_file(file)


def test_a_file_that_is_too_large_is_refused_without_reading_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "big.txt"
    with file.open("wb") as out:
        out.truncate(1 << 40)
    with pytest.raises(UsageError, match="larger than 4 MiB"):
        load_file(file)
    monkeypatch.setattr(attachments, "MAX_BYTES", 3)
    file.write_text("abc")
    assert load_file(file).text == "abc"


def test_a_pipe_a_device_a_socket_and_a_folder_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="not a regular file"):
        load_file(tmp_path / "pipe")
    with pytest.raises(UsageError, match="not a regular file"):
        load_file("/dev/zero")
    with pytest.raises(UsageError, match="is a folder"):
        load_file(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket"))
        with pytest.raises(UsageError, match="Cannot read"):
            load_file(tmp_path / "socket")


@pytest.mark.parametrize("name", ["missing.txt", "no\0name", "", "x" * 5000])
def test_a_file_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"Cannot read|is a folder"):
        load_file(str(tmp_path / name))


def test_links_of_the_person_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("hello")
    (tmp_path / "link.txt").symlink_to("real.txt")
    assert load_file(tmp_path / "link.txt").text == "hello"
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match="Cannot read"):
        load_file(tmp_path / "loop")


def test_the_home_folder_has_its_short_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.txt").write_text("x")
    assert load_file("~/a.txt").part.path == str(tmp_path / "a.txt")
    with pytest.raises(UsageError, match="Cannot read"):
        load_file("~nobody-is-called-that/a.txt")
