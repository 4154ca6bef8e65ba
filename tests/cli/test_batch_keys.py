"""`holychat batch` where the key is missing: told before a job is set going, and by a job that lost it on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.shell import KEY
from tests.support.loopback import error_reply

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.batch_shell import BatchShell
    from tests.cli.shell import Done
    from tests.support.loopback import Loopback


def refused(done: Done) -> bool:
    """Whether it was told that there is no key, with all that helps and nothing that does not."""
    assert "HOLYSHEEP_API_KEY" in done.error
    assert "--hold" not in done.error
    return (done.status, done.text) == (3, "") and done.error.startswith("holychat: No key for holysheep\n")


def test_a_job_that_would_only_wait_for_its_key_is_not_resumed(desk: BatchShell) -> None:
    assert desk.batch("summarize", str(desk.documents), "-p", "holysheep", "--hold").status == 0
    (before,) = desk.jobs()
    for more in ((), ("--wait",), ("--json",), ("--budget", "1")):
        assert refused(desk.batch("resume", "1", *more)), more
    assert desk.jobs() == [before]


def test_documents_that_would_only_wait_for_their_key_are_not_sent_again(desk: BatchShell, loopback: Loopback) -> None:
    loopback.chat(error_reply(400, "no such thing"))
    desk.set(HOLYSHEEP_BASE_URL=loopback.base_url, HOLYSHEEP_API_KEY=KEY)
    assert desk.batch("summarize", str(desk.documents), "-p", "holysheep", "--yes", "--wait").status == 7
    asked, (before,) = len(loopback.requests), desk.jobs()
    del desk.environ["HOLYSHEEP_API_KEY"]
    for more in ((), ("--wait",), ("--failed", "--json")):
        assert refused(desk.batch("retry", "1", *more)), more
    assert desk.batch("retry", "1", "--skipped").status == 0, "there is nothing that a key is needed for"
    assert desk.batch("resume", "1").status == 2, "it has ended, with a key or without"
    assert (desk.jobs(), len(loopback.requests)) == ([before], asked)


def test_a_job_whose_key_is_gone_says_all_ways_to_give_one(desk: BatchShell, tmp_path: Path) -> None:
    once = tmp_path / "once"
    once.write_text(f'#!/bin/sh\necho {KEY}\necho "#!/bin/sh" > "$0"\n')
    once.chmod(0o700)
    desk.configure(f"[providers.holysheep]\nkey_command = ['{once}']\n")
    desk.set(HOLYSHEEP_BASE_URL="http://127.0.0.1:9/v1")
    done = desk.batch("summarize", str(desk.documents), "-p", "holysheep", "--hold")
    assert (done.status, "No key" in done.error) == (0, False), done.error
    done = desk.batch("resume", "1", "--wait")
    assert done.status == 3
    assert "HOLYSHEEP_API_KEY" in done.error
    assert "…" not in done.error.split("is paused:")[1]
