"""The log file: what happens when it cannot be written."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

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
