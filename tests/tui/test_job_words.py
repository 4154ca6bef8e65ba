"""Words for jobs, and what the fields of the form mean."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from holychat.cli.batch_words import progress_words
from holychat.domain.jobs import (
    Counts,
    ItemState,
    Job,
    JobLimits,
    JobState,
    Kind,
    Money,
    PauseReason,
    Progress,
    Recipe,
    SourceKind,
)
from holychat.errors import UsageError
from holychat.jobs.recipes import OFFLINE_KINDS
from holychat.settings import JobSettings
from holychat.tui.job_notices import JobNotices, desktop_notification, notice
from holychat.tui.job_order import FieldProblem, Order, micros_from, order_of, sources_from
from holychat.tui.job_words import (
    advice,
    compact,
    counts_words,
    dollars,
    duration,
    money_words,
    pace_words,
    range_words,
    rate_words,
    work_words,
)
from tests.tui.desk_rows import spec

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000_000
KEYS = {"p": "p", "enter": "Enter"}


def job(state: JobState = JobState.RUNNING, **fields: object) -> Job:
    return replace(Job(1, spec(), state, NOW, listed=True), **fields)  # type: ignore[arg-type]


def counted(**counts: int) -> Counts:
    return Counts({ItemState(name): count for name, count in counts.items()})


def test_counts_name_what_went_wrong_and_say_when_more_are_being_found() -> None:
    words = counts_words(job(counts=counted(done=8, failed=2, in_doubt=1, pending=5)))
    assert [text for text, _ in words] == ["8 of 16", "2 failed", "1 in doubt"]
    assert counts_words(job(counts=counted(done=1, pending=1), listed=False))[0][0] == "1 of 2+ done"
    assert counts_words(job(counts=counted(done=4)))[0][0] == "all 4 done"
    assert counts_words(job())[0][0] == "looking for documents"
    ended = counts_words(job(JobState.CANCELLED, counts=counted(done=3, skipped=1, cancelled=6)))
    assert [text for text, _ in ended] == ["3 of 10 done", "1 skipped", "6 cancelled"]


def test_the_progress_in_a_shell_says_what_is_unknown() -> None:
    unknown = job(counts=counted(done=1, pending=1), money=Money(unknown=1))
    assert progress_words(unknown, NOW)[-1] == "price unknown"
    assert progress_words(replace(unknown, money=Money(spent=10_000)), NOW)[-1] == "$0.01"


def test_an_end_is_told_as_a_range_and_a_wait_as_a_time() -> None:
    eta = (NOW + 6 * 60_000, NOW + 9 * 60_000)
    assert pace_words(job(progress=Progress(rate_per_minute=62.4, eta_ms=eta)), NOW) == "62/min · 6–9 min left"
    waits = Progress(rate_per_minute=62.4, waiting_until_ms=NOW + 60_000, waiting_for="the provider asked")
    assert pace_words(job(progress=waits), NOW).startswith("waiting until ")
    assert pace_words(job(progress=waits), NOW + 61_000) == "62/min"
    assert pace_words(job(), NOW) == "waiting for the first answer"
    begun = Counts({ItemState.DONE: 3, ItemState.PENDING: 4})
    assert pace_words(job(counts=begun), NOW) == "finding out how fast it goes"
    assert pace_words(job(counts=counted(done=7)), NOW) == "writing the results"
    assert pace_words(job(counts=counted(done=7), listed=False), NOW) == "finding out how fast it goes"


@pytest.mark.parametrize(
    ("early", "late", "told"),
    [
        (-5, 3, "a few seconds"),
        (2, 41, "under 40 s"),
        (22, 58, "20–60 s"),
        (20, 100, "under 2 min"),
        (61, 119, "1–2 min"),
        (360, 365, "6 min"),
        (3_600, 7_300, "1–2 h"),
        (3_000, 9_000, "50 min – 2 h 30"),
        (86_400 * 3, 86_400 * 4, "3 d – 4 d"),
    ],
)
def test_ranges_have_no_more_precision_than_they_deserve(early: float, late: float, told: str) -> None:
    assert range_words(early, late) == told


def test_numbers_are_short() -> None:
    assert [compact(count) for count in (0, 9_999, 12_400, 999_999, 3_100_000)] == [
        "0",
        "9,999",
        "12.4k",
        "1000k",
        "3.1M",
    ]
    assert [rate_words(rate) for rate in (0.5, 31, 1200)] == ["30/h", "31/min", "20/s"]
    assert [duration(seconds) for seconds in (0.44, 42, 720, 12_000, 190_000)] == [
        "0.4 s",
        "42 s",
        "12 min",
        "3 h 20",
        "2 d 5 h",
    ]


def test_money_is_never_shown_as_nothing_where_it_is_something() -> None:
    assert [dollars(micros) for micros in (0, 1, 3_100, 420_000, 12_300_000)] == [
        "$0", "<$0.0001", "$0.0031", "$0.42", "$12.30",
    ]  # fmt: skip
    assert dollars(3_100, about=True) == "~$0.0031"


def test_money_spent_expected_unknown_and_in_doubt_are_kept_apart() -> None:
    money = Money(spent=410_000, projected=980_000, unknown=2, in_doubt=9_000)
    assert money_words(job(money=money)) == ["$0.41", "~$0.98 in all", "2 of unknown price", "up to $0.009 in doubt"]
    assert money_words(job(JobState.FINISHED, money=Money(unknown=3), requests=3)) == ["3 of unknown price"]
    assert money_words(job(JobState.FINISHED, requests=3)) == ["$0"]
    assert money_words(job()) == []


@pytest.mark.parametrize("reason", list(PauseReason))
def test_every_pause_says_what_to_do(reason: PauseReason) -> None:
    paused = job(JobState.PAUSED, pause=reason, pause_detail="Because \x1b[2Jof it.")
    assert advice(paused, KEYS).startswith("Because ") == (reason is not PauseReason.TRIAL)  # says the same itself
    assert "\x1b" not in advice(paused, KEYS)
    assert advice(paused, KEYS).endswith(".")


def test_a_new_budget_is_asked_for_only_where_there_is_one() -> None:
    held = job(JobState.PAUSED, pause=PauseReason.BUDGET, pause_detail="A limit of the settings.")
    assert advice(held, KEYS) == "A limit of the settings. p resumes it."
    held = replace(held, spec=spec(limits=JobLimits(budget_micros=1)))
    assert "new budget" in advice(held, KEYS)


def test_the_key_of_the_panel_tells_of_jobs_at_work_alone() -> None:
    at_work = job(counts=counted(done=1, pending=2))
    assert work_words([job(JobState.FINISHED), job(JobState.DRAFT)]) == ""
    assert work_words([at_work]) == "1 job 33 %"
    assert work_words([at_work, job(JobState.QUEUED)]) == "2 jobs 33 %"


def test_a_notification_cannot_be_ended_or_changed_by_a_name() -> None:
    ended = job(JobState.FINISHED, spec=spec("a\x07b\x1b\\c\u202e"), counts=counted(done=2))
    sequence = desktop_notification(notice(ended)[0], {})
    assert sequence.startswith("\x1b]9;")
    assert sequence.endswith("\x07")
    assert sequence.count("\x1b") == sequence.count("\x07") == 1
    assert desktop_notification("x", {"TMUX": "1"}).startswith("\x1bPtmux;\x1b\x1b]9;")


def test_notices_of_jobs_are_one_until_it_goes_and_bells_do_not_run_together() -> None:
    now = 100.0
    written: list[str] = []
    shown: list[tuple[str, bool]] = []
    notices = JobNotices(JobSettings(), written.append, lambda *notice: shown.append(notice), lambda: now)
    held = replace(job(JobState.PAUSED, spec=spec("held")), pause=PauseReason.BUDGET)
    notices.tell(held)
    for name in "abc":
        now += 0.3
        notices.tell(job(JobState.FINISHED, spec=spec(name), counts=counted(done=2)))
    text, warning = shown[-1]
    assert [line.split("”")[0] for line in text.split("\n")] == [
        "“held", "“c", "“b", "And 1 more; the side panel shows all."
    ]  # fmt: skip
    assert warning
    assert [written.count("\a"), len(written)] == [1, 5]
    now += 20
    notices.tell(job(JobState.FINISHED, spec=spec("d"), counts=counted(done=2)))
    assert shown[-1] == ("“d” has ended: 2 done.", False)
    assert written.count("\a") == 2


# The form


def test_paths_are_taken_as_a_shell_would_take_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a b.md", "c.md", "rows.csv", "rows.jsonl", "list.txt"):
        (tmp_path / name).write_text('{"text": "x"}\n')
    (tmp_path / "requests.jsonl").write_text(json.dumps({"custom_id": "1", "body": {"messages": []}}) + "\n")

    def kinds(text: str, column: str = "") -> list[tuple[SourceKind, str, str]]:
        return [(source.kind, source.value, source.column) for source in sources_from(text, column)]

    here = str(tmp_path)
    assert kinds("a b.md") == [(SourceKind.PATH, f"{here}/a b.md", "")]
    assert kinds("'a b.md' c.md") == [(SourceKind.PATH, f"{here}/a b.md", ""), (SourceKind.PATH, f"{here}/c.md", "")]
    assert kinds("*.md") == [(SourceKind.GLOB, f"{here}/*.md", "")]
    assert kinds("rows.csv", "body") == [(SourceKind.CSV, f"{here}/rows.csv", "body")]
    assert kinds("rows.jsonl") == [(SourceKind.JSONL, f"{here}/rows.jsonl", "")]
    assert kinds("requests.jsonl") == [(SourceKind.REQUESTS, f"{here}/requests.jsonl", "")]
    assert kinds("@list.txt") == [(SourceKind.LIST, f"{here}/list.txt", "")]
    with pytest.raises(UsageError, match="There is no file or folder nothing"):
        sources_from("nothing")


def test_an_order_comes_back_as_it_was_filled_in(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("x")
    order = Order(
        where=f"{tmp_path}/a {tmp_path}/b",
        recipe=Recipe(Kind.CLASSIFY, system="Be brief.", temperature=0.5),
        labels="good, bad",
        provider="openai",
        budget="$2,5",
        concurrency="8",
        out=f"{tmp_path}/results.csv",
    )
    again = order_of(order.spec())
    assert again.spec() == order.spec()
    assert (again.labels, again.budget) == ("good, bad", "2.5")
    assert (again.concurrency, again.out) == ("8", f"{tmp_path}/results.csv")
    assert again.recipe.system == "Be brief."


@pytest.mark.parametrize("kind", list(Kind))
def test_the_form_lets_the_offline_provider_do_what_a_job_of_it_may(tmp_path: Path, kind: Kind) -> None:
    (tmp_path / "a.md").write_text("x")
    (tmp_path / "requests.jsonl").write_text(json.dumps({"custom_id": "1", "body": {"messages": []}}) + "\n")
    recipe = Recipe(kind, language="French", prompt="Why?", schema="{}")
    ready_made = Order(f"{tmp_path}/requests.jsonl", recipe=recipe, labels="a, b", provider="offline").spec()
    assert ready_made.recipe.kind is Kind.REQUESTS
    order = Order(f"{tmp_path}/a.md", recipe=recipe, labels="a, b", provider="offline")
    if kind in OFFLINE_KINDS:
        order.spec()
    else:
        with pytest.raises(FieldProblem, match=f"The offline provider cannot {kind.value}"):
            order.spec()


@pytest.mark.parametrize("text", ["many", "-1", "nan", "1e99", "inf"])
def test_what_is_no_budget_is_said_to_be_none(text: str) -> None:
    with pytest.raises(UsageError, match="no budget"):
        micros_from(text)


def test_a_schema_is_read_from_its_file_and_has_to_be_an_object(tmp_path: Path) -> None:
    document, schema = tmp_path / "a.md", tmp_path / "schema.json"
    document.write_text("x")
    schema.write_text('{"type": "object"}')
    order = Order(where=str(document), recipe=Recipe(Kind.EXTRACT, schema=str(schema)), provider="x")
    assert order.spec().recipe.schema == '{"type": "object"}'
    schema.write_text("[1]")
    with pytest.raises(UsageError, match="no JSON object"):
        order.spec()
    schema.write_text("{")
    with pytest.raises(UsageError, match="no JSON"):
        order.spec()
