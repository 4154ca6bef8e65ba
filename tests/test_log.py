"""The log file: what happens when it cannot be written."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from holychat.log import MASK, Masker

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("trouble", ["a folder", "a full disk"])
def test_a_log_that_cannot_be_written_is_never_told_on_the_screen(tmp_path: Path, trouble: str) -> None:
    log = tmp_path / "holychat.log"
    if trouble == "a folder":
        log.mkdir()
    else:
        log.symlink_to("/dev/full")
    program = (
        "import logging, sys, pathlib; from holychat.log import Masker, start_logging\n"
        "start_logging(pathlib.Path(sys.argv[1]), Masker(), {})\n"
        "logging.getLogger('holychat').error('a checkpoint was not stored')"
    )
    done = subprocess.run([sys.executable, "-c", program, str(log)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_keys_that_are_learnt_in_several_threads_at_once_are_all_masked() -> None:
    masker, stopped, go_on = Masker(), threading.Event(), threading.Event()

    class Slow(str):
        """Its length is asked for while the keys are put in order: there the thread is held up."""

        def __len__(self) -> int:
            if threading.current_thread() is slow and stopped_once():
                stopped.set()
                go_on.wait(0.5)
            return super().__len__()

    asked = 0

    def stopped_once() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3  # after the known keys were read, before the new ones are there

    slow = threading.Thread(target=lambda: masker.add(Slow("sk-learnt-by-one")))
    slow.start()
    assert stopped.wait(10)
    other = threading.Thread(target=lambda: masker.add("sk-learnt-by-the-other"))
    other.start()
    other.join(0.2)
    go_on.set()
    slow.join()
    other.join()
    assert masker("sk-learnt-by-one and sk-learnt-by-the-other") == f"{MASK} and {MASK}"
