"""What is printed, kept and drawn of a benchmark."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import msgspec
import pytest

from holychat.benchmark.figures import Sample, figures
from holychat.benchmark.picture import picture
from holychat.benchmark.prompts import read
from holychat.benchmark.report import ModelReport, Report, encode, load
from holychat.benchmark.table import differences, tables
from holychat.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

LIVE = [Sample(2400.0 * number, 2340.0, 48.0, 60, cost_micros=150) for number in range(30)]
BATCH = [Sample(20.0 * number, 1890.0, None, 60, cost_micros=150) for number in range(200)]


def made(live: list[Sample] = LIVE, batch: list[Sample] = BATCH, model: str = "gpt-4.1") -> Report:
    both = ModelReport(model, figures(live, asked=30, errors=30 - len(live)), figures(batch, asked=200, refused=3))
    return Report(1, "9.9.9", "2026-03-01T10:00:00+00:00", "holysheep", 8, 128, None, (both,), 34_500)


def test_a_table_sets_the_roads_side_by_side() -> None:
    text = "\n".join(tables(made()))
    rows = {line[:26].strip(): line[26:].split() for line in text.splitlines()}
    assert rows["time to first token, p50"] == ["48.0", "ms", "-"]
    assert rows["end to end, p95"] == ["2,340", "ms", "1,890", "ms", "0.81x"]
    assert rows["requests/min"] == ["25.0", "2,044", "81.77x"]
    assert rows["cost per 1,000 requests"] == ["$0.15", "$0.15", "1.00x"]
    assert rows["errors"] == ["0", "of", "30", "0", "of", "200"]
    assert rows["turned away, sent again"] == ["0", "3"]
    assert "Spent: $0.0345" in text


def test_what_is_unknown_is_called_so_and_what_is_estimated_is_marked() -> None:
    unknown = [Sample(2000.0 * number, 1500.0, 40.0, 10) for number in range(30)]
    guessed = [Sample(20.0 * n, 900.0, None, 10, tokens_estimated=True, cost_micros=5, cost_estimated=True)
               for n in range(200)]  # fmt: skip
    lines = list(tables(made(unknown, guessed)))
    cost, rate = (next(line.split() for line in lines if line.startswith(name)) for name in ("cost per", "tokens/s"))
    assert cost[-2:] == ["unknown", "~$0.005"]
    assert rate[1][0] != "~"
    assert rate[2][0] == "~"
    assert lines[-1].endswith("and what has no known price")


def test_a_road_without_an_answer_shows_its_errors_alone() -> None:
    text = "\n".join(tables(made(live=[])))
    assert "30 of 30" in text
    assert "-" in text


def test_a_report_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(encode(made()))
    assert load(file) == made()


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("", "is no benchmark"),
        ("[1]", "is no benchmark"),
        ('{"format": 2}', "format 2"),
        ('{"format": 1, "models": 3}', "is no benchmark"),
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, text: str, title: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=title):
        load(file)
    with pytest.raises(UsageError, match="Cannot read"):
        load(tmp_path / "none.json")


def test_a_comparison_shows_what_was_and_what_is() -> None:
    faster = [Sample(2400.0 * number, 1170.0, 24.0, 60, cost_micros=150) for number in range(30)]
    lines = list(differences(made(), made(live=faster), "earlier.json"))
    assert "earlier.json" in lines[0]
    row = next(line for line in lines if line.startswith("end to end, p50, live"))
    assert "2,340 ms -> 1,170 ms" in row
    assert row.endswith("-50.0%")
    other = list(differences(made(model="another"), made(), "earlier.json"))
    assert other[1] == "gpt-4.1 was not in it"


def test_a_picture_is_well_formed_and_carries_the_numbers() -> None:
    root = ET.fromstring(picture(made(model="<gpt> & \x1b[31m co")))
    texts = [node.text or "" for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "48 ms" in texts
    assert "2,340 ms" in texts
    assert any(text.endswith("a minute") for text in texts)
    assert any("<gpt> &" in text for text in texts)
    assert not any("\x1b" in text for text in texts)
    bars = [float(node.attrib["width"]) for node in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert max(bars) <= 760


def test_a_picture_of_nothing_is_a_picture() -> None:
    ET.fromstring(picture(msgspec.structs.replace(made(), models=())))


def test_prompts_are_read_by_line_or_by_object(tmp_path: Path) -> None:
    plain = tmp_path / "a.txt"
    plain.write_text("one\n\n  two  \r\nthree")
    assert read(plain) == ("one", "two", "three")
    objects = tmp_path / "a.jsonl"
    objects.write_text('{"prompt": "one\\ntwo"}\n"three"\n')
    assert read(objects) == ("one\ntwo", "three")


@pytest.mark.parametrize(
    ("name", "data", "title"),
    [
        ("a.txt", b"\n \n", "no prompts"),
        ("a.txt", b"\xff\xfe", "UTF-8"),
        ("a.jsonl", b'"one"\n{', "line 2 is not JSON"),
        ("a.jsonl", b'{"text": 1}', "line 1 holds no prompt"),
    ],
)
def test_prompts_that_are_none_are_refused(tmp_path: Path, name: str, data: bytes, title: str) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    with pytest.raises(UsageError, match=title):
        read(file)
