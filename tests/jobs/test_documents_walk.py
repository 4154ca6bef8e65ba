"""Listing documents: folders, patterns, lists and single files, on a real disk."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from holychat.domain.jobs import Document, Source, SourceKind
from holychat.errors import UsageError
from holychat.jobs.documents import ChatText, WalkOptions, check, listed, real_path, stored_path
from holychat.jobs.documents.folders import entries
from holychat.store.folding import storable


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        put(root / name, text)


def put(path: Path, text: str = "some text\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def walked(path: Path | str, options: WalkOptions | None = None, **source: bool) -> list[Document]:
    return list(listed([Source(SourceKind.PATH, str(path), **source)], options))


def names(documents: list[Document]) -> list[str]:
    return [document.name for document in documents]


def sent(documents: list[Document]) -> list[str]:
    return [document.name for document in documents if document.failure is None and not document.skipped]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    root.mkdir()
    return root


def test_a_folder_is_walked_depth_first_in_the_order_of_names(docs: Path) -> None:
    for name in ("b.md", "a/z.md", "a/b/c.md", "c.txt", "B.md"):
        put(docs / name)
    found = walked(docs)
    assert names(found) == ["B.md", "a/b/c.md", "a/z.md", "b.md", "c.txt"]
    assert found[1].path == str(docs / "a/b/c.md")
    assert found[1].size == 10
    assert found == walked(docs)


def test_gitignore_files_hold_for_their_folder_and_below_and_the_nearest_one_wins(docs: Path) -> None:
    put(docs / ".gitignore", "*.log\nbuild/\n/only-top.txt\n!keep.log\n[broken\n!\n")
    put(docs / "sub/.gitignore", "!special.log\n*.tmp\n")
    for name in (
        "a.log", "keep.log", "build/x.txt", "only-top.txt", "sub/only-top.txt", "sub/special.log", "sub/b.log",
        "sub/c.tmp", "c.tmp", "sub/deep/special.log", "sub/build/y.txt",
    ):  # fmt: skip
        put(docs / name)
    assert names(walked(docs)) == [
        "c.tmp", "keep.log", "sub/deep/special.log", "sub/only-top.txt", "sub/special.log",
    ]  # fmt: skip
    assert len(walked(docs, ignored=True)) == 11


def test_the_rules_of_the_repository_hold_above_a_folder_that_was_named(docs: Path) -> None:
    (docs / ".git").mkdir()
    put(docs / ".gitignore", "*.log\nout/\n/src/gen/\n")
    for name in ("src/a.py", "src/b.log", "src/gen/c.py", "src/out/d.py", "out/e.log", "out/f.py"):
        put(docs / name)
    assert names(walked(docs / "src")) == ["a.py"]
    assert names(walked(docs / "out")) == ["e.log", "f.py"]  # who names an ignored folder means it


def test_hidden_files_are_left_out_unless_they_are_asked_for(docs: Path) -> None:
    for name in (".env", ".hidden/a.md", "a.md", ".git/config"):
        put(docs / name)
    assert names(walked(docs)) == ["a.md"]
    assert names(walked(docs, hidden=True)) == [".env", ".hidden/a.md", "a.md"]


def test_pictures_programs_and_empty_files_are_skipped_with_a_reason_where_nobody_named_them(docs: Path) -> None:
    for name in ("a.md", "logo.PNG", "lib.so"):
        put(docs / name)
    (docs / "empty.md").touch()
    (docs / "program").write_bytes(b"\x7fELF\0\0")
    (docs / "wide").write_bytes("text".encode("utf-16"))
    found = walked(docs)
    assert {document.name: document.skipped for document in found} == {
        "a.md": "", "empty.md": "empty", "lib.so": "a program or compiled code", "logo.PNG": "a picture",
        "program": "not text", "wide": "",
    }  # fmt: skip
    (named,) = walked(docs / "logo.PNG")
    assert not named.skipped


def test_links_are_listed_and_never_followed_out_of_a_folder(docs: Path, tmp_path: Path) -> None:
    secret = put(tmp_path / "secret.txt")
    put(docs / "a.md")
    (docs / "to-secret.md").symlink_to(secret)
    (docs / "loop").symlink_to(docs)
    (docs / "nowhere").symlink_to(docs / "gone")
    found = walked(docs)
    assert sent(found) == ["a.md"]
    assert sorted(names(found)) == ["a.md", "loop", "nowhere", "to-secret.md"]
    assert all("link" in document.skipped for document in found if document.name != "a.md")


def test_a_link_that_is_named_is_followed(docs: Path, tmp_path: Path) -> None:
    put(docs / "a.md")
    link = tmp_path / "link"
    link.symlink_to(docs)
    assert sent(walked(link)) == ["a.md"]
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    (found,) = walked(circle)
    assert found.failure is not None
    assert found.failure.kind == "LinkLoop"


@pytest.mark.timeout(10)
def test_pipes_and_sockets_block_nothing_and_say_what_they_are(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(docs / "pipe")
    monkeypatch.chdir(docs)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        put(docs / "z.md")
        found = walked(docs)
    assert [(d.name, d.failure.kind if d.failure else "") for d in found] == [
        ("pipe", "NotAFile"), ("socket", "NotAFile"), ("z.md", ""),
    ]  # fmt: skip
    for special in (docs / "pipe", Path("/dev/null")):
        (named,) = walked(special)
        assert named.failure is not None
        assert named.failure.kind == "NotAFile"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_reported_and_the_walk_goes_on(docs: Path) -> None:
    put(docs / "a/x.md")
    put(docs / "b.md")
    (docs / "a").chmod(0)
    try:
        found = walked(docs)
    finally:
        (docs / "a").chmod(0o700)
    assert [(d.name, d.failure.kind if d.failure else "") for d in found] == [("a/", "FolderForbidden"), ("b.md", "")]


def test_a_folder_that_vanishes_while_it_is_walked_is_reported(docs: Path) -> None:
    put(docs / "a.md")
    (docs / "b").mkdir()
    put(docs / "c.md")
    listing = listed([Source(SourceKind.PATH, str(docs))])
    first = next(listing)
    (docs / "b").rmdir()
    rest = list(listing)
    assert first.name == "a.md"
    assert sent(rest) == ["c.md"]
    assert [document.name for document in rest if document.failure] in ([], ["b/"])


def test_names_that_are_no_text_can_be_stored_and_opened_again(docs: Path) -> None:
    odd = [b"caf\xe9.md", b"two\nlines.md", b"tab\t.md", "ü\u202e.md".encode()]
    for name in odd:
        with open(os.fsencode(docs) + b"/" + name, "wb") as file:
            file.write(name)
    found = walked(docs)
    assert len({document.key for document in found}) == len(odd)
    for document in found:
        assert storable(document.key) == document.key
        assert storable(document.name) == document.name
        with open(real_path(storable(document.path)), "rb") as file:
            assert file.read() in odd
        (again,) = walked(document.path)
        assert again.key == document.key
    assert stored_path(str(docs)) == str(docs)


def test_a_large_folder_is_read_in_pieces_and_stays_sorted(docs: Path) -> None:
    for number in range(257):
        put(docs / f"{number * 7919 % 257:03}.md")
    for at_once in (1, 16, 256, 257, 1000):
        assert [name for name, _ in entries(str(docs), at_once)] == [f"{number:03}.md" for number in range(257)]


def test_folders_deeper_than_python_recurses_are_walked(docs: Path) -> None:
    here = os.open(docs, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(os.open("end.md", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    try:
        (found,) = walked(docs)
        assert found.name == "d/" * 1200 + "end.md"
    finally:
        # What pytest tidies up with recurses.
        subprocess.run(["rm", "-rf", str(docs / "d")], check=True)


def test_listing_is_lazy(docs: Path) -> None:
    for number in range(50):
        put(docs / f"{number:02}" / "a.md")
    listing = listed([Source(SourceKind.PATH, str(docs))])
    assert next(listing).name == "00/a.md"
    put(docs / "49" / "b.md")
    assert names(list(listing))[-1] == "49/b.md"


def globbed(pattern: Path | str) -> list[str]:
    return [document.name for document in listed([Source(SourceKind.GLOB, str(pattern))])]


def test_patterns_match_name_by_name_and_two_stars_any_number_of_folders(docs: Path) -> None:
    for name in ("a.md", "b.txt", "x/c.md", "x/y/d.md", "x/y/e.txt", "z/c.md", ".h/f.md", "[k].md"):
        put(docs / name)
    assert globbed(docs / "*.md") == ["[k].md", "a.md"]
    assert globbed(docs / "**/*.md") == ["[k].md", "a.md", "x/c.md", "x/y/d.md", "z/c.md"]
    assert globbed(docs / "**/y/**") == ["x/y/d.md", "x/y/e.txt"]
    assert globbed(docs / "?/c.md") == ["x/c.md", "z/c.md"]
    assert globbed(docs / "[xz]/*") == ["x/c.md", "z/c.md"]
    assert globbed(docs / ".h/*.md") == ["f.md"]
    assert globbed(docs / "*/.h") == [".h"]  # nothing there, said as a failed document


def test_a_pattern_or_folder_with_nothing_in_it_says_so(docs: Path) -> None:
    (missing,) = listed([Source(SourceKind.GLOB, f"{docs}/*.md")])
    assert missing.failure is not None
    assert missing.failure.kind == "NoDocuments"
    (empty,) = walked(docs)
    assert empty.failure is not None
    with pytest.raises(UsageError, match="No file matches"):
        check(Source(SourceKind.GLOB, f"{docs}/*.md"))


@pytest.mark.parametrize("mark", ["\n", "\r\n", "\0"])
def test_a_list_names_files_and_folders(docs: Path, mark: str) -> None:
    for name in ("a.md", "b/c.md", "b/d.md", "with space.md"):
        put(docs / name)
    lines = ["a.md", str(docs / "b"), "with space.md", "gone.md", ""]
    (docs / "list").write_text(mark.join(lines))
    found = list(listed([Source(SourceKind.LIST, str(docs / "list"))]))
    assert names(found) == ["a.md", "c.md", "d.md", "with space.md", "gone.md"]
    assert found[-1].failure is not None
    assert found[-1].failure.kind == "DocumentVanished"


def test_a_list_may_hold_stored_paths(docs: Path) -> None:
    odd = os.fsencode(docs) + b"/caf\xe9.md"
    with open(odd, "wb") as file:
        file.write(b"x")
    (docs / "list").write_text(stored_path(os.fsdecode(odd)) + "\n")
    (found,) = listed([Source(SourceKind.LIST, str(docs / "list"))])
    assert found.failure is None
    assert os.fsencode(real_path(found.path)) == odd


def test_a_list_that_is_gone_or_holds_no_paths_is_a_failed_document(docs: Path) -> None:
    (gone,) = listed([Source(SourceKind.LIST, str(docs / "gone"))])
    assert gone.failure is not None
    (docs / "list").write_text("x" * 200_000 + "\n")
    (long,) = listed([Source(SourceKind.LIST, str(docs / "list"))])
    assert long.failure is not None
    assert long.failure.kind == "ListBroken"


def test_too_large_files_are_listed_as_failed(docs: Path) -> None:
    put(docs / "large.md", "x" * 2000)
    (found,) = walked(docs, WalkOptions(max_bytes=1999))
    assert found.failure is not None
    assert found.failure.kind == "DocumentTooLarge"


def test_the_messages_of_a_chat_are_documents() -> None:
    texts = [ChatText("11", "question 1", "Hello?"), ChatText("12", "answer 1", " ")]
    source = Source(SourceKind.CHAT, "7")
    found = list(listed([source], chat_texts=lambda number: texts if number == 7 else []))
    assert [(d.key, d.content, d.skipped) for d in found] == [("chat:7#11", "Hello?", ""), ("chat:7#12", "", "empty")]

    def gone(number: int) -> list[ChatText]:
        raise UsageError(f"There is no chat {number}")

    (missing,) = listed([source], chat_texts=gone)
    assert missing.failure is not None
    assert missing.failure.title == "There is no chat 7"


def test_what_is_not_there_is_refused_before_a_job_is_made(docs: Path) -> None:
    for source in (Source(SourceKind.PATH, str(docs / "x")), Source(SourceKind.CSV, str(docs))):
        with pytest.raises(UsageError):
            check(source)
    check(Source(SourceKind.PATH, str(docs)))


@pytest.mark.parametrize(
    "kind", [SourceKind.PATH, SourceKind.GLOB, SourceKind.LIST, SourceKind.CSV, SourceKind.REQUESTS]
)
@pytest.mark.parametrize("value", ["/a\0b", "/a\ud800b", "/" + "x" * 5000, "/dev/null/x", "file:///%FF/%00", ""])
def test_a_source_that_cannot_exist_is_a_failed_document(kind: SourceKind, value: str) -> None:
    (found,) = listed([Source(kind, value)])
    assert found.failure is not None
    storable(found.key).encode()
