"""What a job will take, told before anything is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from holychat.catalog.prices import PriceBook
from holychat.catalog.tokens import estimate_tokens
from holychat.domain.jobs import JobLimits, JobSpec, Kind, Priority, Recipe, Source, SourceKind
from holychat.domain.usage import Usage
from holychat.errors import UsageError
from holychat.jobs import recipes
from holychat.jobs.documents import WalkOptions
from holychat.jobs.estimate import SAMPLE, Estimate, Known, estimate

if TYPE_CHECKING:
    from pathlib import Path

SUMMARY = Recipe(Kind.SUMMARIZE, length="short")
SENTENCE = "The quick brown fox jumps over the lazy dog near the river. "


def spec(
    path: Path, recipe: Recipe = SUMMARY, provider: str = "openai", model: str = "gpt-4o-mini", **more: object
) -> JobSpec:
    kinds = {".csv": SourceKind.CSV, ".jsonl": SourceKind.REQUESTS}
    source = Source(kinds.get(path.suffix, SourceKind.PATH), str(path))
    return JobSpec("job", recipe, (source,), provider, model, **more)  # type: ignore[arg-type]


def estimated(*args: object, **options: object) -> Estimate:
    return estimate(spec(*args, **options), PriceBook())  # type: ignore[arg-type]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    root.mkdir()
    return root


def test_documents_tokens_money_and_time_are_told(docs: Path) -> None:
    for number in range(3):
        (docs / f"{number}.md").write_text(SENTENCE * 20)
    found = estimated(docs)
    text = estimate_tokens(SENTENCE * 20)
    assert (found.documents, found.requests, found.unreadable, found.sampled, found.parts) == (3, 3, 0, 3, 0)
    assert 3 * text < found.input_tokens < 3 * (text + 250)
    assert found.output_tokens == 240
    book = PriceBook()
    usage = Usage(found.input_tokens, found.output_tokens, estimated=True)
    assert found.live == book.cost_of("openai", "gpt-4o-mini", usage)
    assert found.batch == book.batch_cost_of("openai", "gpt-4o-mini", usage)
    assert found.batch is not None
    assert found.live is not None
    assert found.batch.micros < found.live.micros
    assert found.seconds is not None
    assert found.seconds[0] <= found.seconds[1]
    assert not found.rate_known
    assert found.warnings == ()


def test_a_document_that_is_named_twice_counts_once(docs: Path) -> None:
    for name in ("a", "b", "c"):
        (docs / f"{name}.md").write_text(SENTENCE * 20)  # equal texts under other names are other documents
    (docs / "empty.md").touch()
    named = tuple(Source(SourceKind.PATH, str(docs / name)) for name in ("a.md", "a.md", "", "b.md"))
    found = estimate(replace(spec(docs), sources=named), PriceBook())
    assert (found.documents, found.input_tokens) == (3, estimated(docs).input_tokens)
    assert "3 found again and left out: each document is sent once." in found.warnings
    listing = docs / "list.txt"
    listing.write_text("a.md\n./a.md\nb.md\n")
    found = estimate(replace(spec(docs), sources=(Source(SourceKind.LIST, str(listing)),)), PriceBook())
    assert (found.documents, found.warnings) == (2, ("1 found again and left out: each document is sent once.",))


def test_what_is_not_known_is_said_and_not_guessed(docs: Path) -> None:
    (docs / "a.md").write_text(SENTENCE)
    found = estimated(docs, SUMMARY, "mine", "some-model")
    assert (found.live, found.batch) == (None, None)
    assert any("price of some-model at mine is unknown" in warning for warning in found.warnings)
    assert any("8,192 tokens are assumed" in warning for warning in found.warnings)


def test_offline_costs_nothing_and_is_called_what_it_is(docs: Path) -> None:
    (docs / "a.md").write_text(SENTENCE)
    found = estimated(docs, SUMMARY, "offline", "extractive")
    assert found.live is not None
    assert found.live.micros == 0
    assert any("not a language model" in warning for warning in found.warnings)
    with pytest.raises(UsageError, match="offline"):
        estimated(docs, Recipe(Kind.TRANSLATE, language="German"), "offline", "extractive")


def test_of_many_files_a_sample_is_read_and_the_rest_follows_from_their_sizes(docs: Path) -> None:
    for number in range(4 * SAMPLE):
        (docs / f"{number:04}.md").write_text("Съешь ещё этих мягких французских булок. " * (1 + number % 7))
    found = estimated(docs)
    assert (found.documents, found.sampled) == (4 * SAMPLE, SAMPLE)
    exact = sum(estimate_tokens(file.read_text()) for file in docs.iterdir())
    around = sum(estimate_tokens(part.text) + 4 for part in recipes.messages(SUMMARY, "name", "path", ""))
    assert 0.95 * exact < found.input_tokens - 4 * SAMPLE * around < 1.05 * exact


def test_every_document_that_cannot_be_sent_is_counted_with_its_reason(docs: Path) -> None:
    (docs / "a.md").write_text(SENTENCE)
    (docs / "b.md").write_text(" \n")
    (docs / "c.md").write_bytes(b"a\0b")
    (docs / "d.png").write_bytes(b"\x89PNG")
    found = estimated(docs)
    assert (found.documents, found.unreadable, found.skipped) == (1, 2, 1)
    assert "1 cannot be sent: it is empty." in found.warnings
    assert "1 cannot be sent: it is not text." in found.warnings


def test_long_documents_are_counted_with_their_parts_and_merges(docs: Path) -> None:
    (docs / "long.md").write_text(SENTENCE * 20_000)
    tokens = estimate_tokens(SENTENCE * 20_000)
    found = estimate(spec(docs, model="unheard-of"), PriceBook(), Known(assumed_context=8192))
    assert found.documents == 1
    assert found.parts > 40
    assert found.parts + 2 < found.requests < 1.2 * found.parts  # a tree of merges, many at once
    assert found.input_tokens > tokens
    assert any("split into" in warning for warning in found.warnings)
    joined = estimate(spec(docs, Recipe(Kind.TRANSLATE, language="German"), model="unheard-of"), PriceBook())
    assert joined.requests == joined.parts  # put together without a model
    assert joined.output_tokens > tokens


def test_records_and_ready_made_requests_are_counted_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n" + "Hello there\n" * 120)
    assert estimated(tmp_path / "a.csv").documents == 120
    line = '{"custom_id": "%d", "body": {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9}}\n'
    (tmp_path / "b.jsonl").write_text("".join(line % number for number in range(10)) + "{}\n")
    found = estimated(tmp_path / "b.jsonl", Recipe(Kind.REQUESTS))
    assert (found.documents, found.unreadable, found.output_tokens) == (10, 1, 90)


def test_a_known_rate_is_used_and_a_small_budget_warned_of(docs: Path) -> None:
    for number in range(100):
        (docs / f"{number}.md").write_text(SENTENCE * 50)
    limits = JobLimits(budget_micros=10, requests_per_minute=60)
    found = estimated(docs, limits=limits)
    assert found.rate_known
    assert found.seconds is not None
    assert 100 <= found.seconds[0] <= 110
    assert any("more than the budget" in warning for warning in found.warnings)
    slow = estimate(spec(docs, limits=JobLimits(concurrency=1), priority=Priority.LOW), PriceBook())
    assert slow.seconds is not None
    assert slow.seconds[0] >= 300


def test_nothing_to_send_is_said(docs: Path) -> None:
    found = estimated(docs)
    assert (found.documents, found.seconds) == (0, None)
    assert "There is no document to send." in found.warnings


def test_counting_tells_how_far_it_is_and_can_be_stopped(docs: Path) -> None:
    for number in range(350):
        (docs / f"{number}.md").write_text("text")
    told: list[int] = []
    found = estimate(spec(docs), PriceBook(), progress=told.append, cancelled=lambda: len(told) >= 2)
    assert told == [100, 200]
    assert found.documents == 200
    assert any("stopped" in warning for warning in found.warnings)


def test_options_of_the_walk_hold(docs: Path) -> None:
    (docs / "a.md").write_text(SENTENCE)
    (docs / ".b.md").write_text(SENTENCE)
    assert estimate(spec(docs), PriceBook(), Known(WalkOptions(hidden=True))).documents == 2


def test_what_only_looks_like_a_placeholder_is_named(docs: Path) -> None:
    (docs / "a.md").write_text(SENTENCE)
    wishes = 'Sum {text} of {name} up as {"short": true} for {reader} and {x}, {reader} first.'
    (warning,) = [w for w in estimated(docs, Recipe(Kind.PROMPT, prompt=wishes)).warnings if "filled in" in w]
    assert warning == "{reader} and {x} stay in the prompt as they are; {text}, {name} and {path} are filled in."
    assert not [w for w in estimated(docs, Recipe(Kind.PROMPT, prompt="{text} {path}")).warnings if "filled in" in w]
    assert not [w for w in estimated(docs, Recipe(Kind.SUMMARIZE, prompt="{reader}")).warnings if "filled in" in w]
