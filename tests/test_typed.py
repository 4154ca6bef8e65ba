"""Types are met for the first time by several threads at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

_MEET = """
import sys, threading
from dataclasses import make_dataclass
import msgspec
from holychat import typed

sys.setswitchinterval(1e-6)
fields = [(f"field{number}", int | None, None) for number in range(8)]
for number in range(400):
    if sys.argv[1] == "struct":
        inner = msgspec.defstruct(f"Inner{number}", fields)
        form = msgspec.defstruct(f"Outer{number}", [("inner", inner | None, None), *fields])
    else:
        inner = make_dataclass(f"Inner{number}", fields)
        form = make_dataclass(f"Outer{number}", [("inner", inner | None, None), *fields])
    together = threading.Barrier(3)
    seen = []

    def meet():
        together.wait()
        seen.append((typed.convert if sys.argv[2] == "convert" else msgspec.convert)({"inner": {"field7": 5}}, form))

    threads = [threading.Thread(target=meet) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [value.inner.field7 for value in seen] == [5, 5, 5]
"""


@pytest.mark.parametrize("kind", ["struct", "dataclass"])
def test_threads_that_meet_a_type_at_the_same_moment_all_get_their_value(kind: str) -> None:
    # In a process of its own: without the lock it dies of a segmentation fault within a few rounds.
    done = subprocess.run([sys.executable, "-c", _MEET, kind, "convert"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
