"""The benchmarks work and yield figures. What the figures are is no matter for a test: machines differ."""

from __future__ import annotations

import math

import pytest

from tests.bench.driver import KEYS, Driver
from tests.bench.measure import BENCHMARKS, measure, tiny
from tests.bench.report import report
from tests.bench.server import Replies
from tests.bench.texts import FIRST, KINDS, LAST, TAG, pieces

_PROGRAMS = {
    "typing": {"holychat", "bare Textual"},
    "open_chat": {"holychat"},
    "batch": {"holychat", "httpx", "aiohttp", "openai"},
    "batch_memory": {"holychat"},
    "batch_typing": {"holychat"},
    "batch_quota": {"holychat"},
}


@pytest.mark.pty
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_yields_figures_of_every_program_it_is_about(name: str) -> None:
    with Driver() as driver:
        rows = list(measure(driver, tiny(), [name]))
    assert not [row["error"] for row in rows if "error" in row]
    assert {row["program"] for row in rows} == _PROGRAMS.get(name, {"holychat", "bare Textual", "plain printer"})
    for row in rows:
        figures = [row[key] for key in row if key.endswith(("_s", "_mb")) or key == "overhead_ms"]
        measured = [*figures, *row.get("delays_ms", [])]
        assert measured
        assert all(math.isfinite(figure) for figure in measured)
    assert report(rows).startswith("###")
    assert "|" in report(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_has_as_many_pieces_as_asked_for_and_is_the_same_every_time(kind: str) -> None:
    for count in (8, 100, 2_000):
        found = pieces(kind, count)
        assert len(found) == count
        assert found[0] == FIRST
        assert sum(LAST in piece for piece in found) == 1
        assert found == pieces(kind, count)
    text = "".join(found)
    assert text.count("```") % 2 == 0
    assert text.count(f"zq{TAG}m") > 15
    assert not set(text) & set(KEYS)


def test_a_reply_carries_the_tag_of_its_request_in_every_mark() -> None:
    reply = Replies().make("mixed", 100, 0, "B042")
    body = b"".join(reply.chunks)
    assert TAG.encode() not in body
    assert body.count(b"zqB042") == len(reply.marks) > 2
