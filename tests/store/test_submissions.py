"""Submissions to batch services: their moves, and the items that go with them."""

from __future__ import annotations

import itertools

import pytest

from holychat.domain.batches import RemoteBatch, Submission, SubmissionState, before
from holychat.domain.failures import Failure
from holychat.store import submissions
from holychat.store.database import Database

NEW = Submission(0, 1, "token", SubmissionState.FILE_INTENT, "openai", "m", 2, 100, 50, created_ms=7)
BATCH = RemoteBatch("batch_1", "in_progress", completed=1, failed=0, expires_s=99)


@pytest.fixture
def database() -> Database:
    database = Database.open(None)
    database.write_now(
        lambda c: c.execute(
            """
            INSERT INTO jobs (name, kind, state, provider, priority, recipe, sources, limits, created_ms, updated_ms)
            VALUES ('n', 'prompt', 'running', 'openai', 'low', '{}', '[]', '{}', 1, 1)
            """
        )
    )
    return database


def test_a_submission_goes_its_way_and_comes_back_as_it_was_written(database: Database) -> None:
    number = database.write_now(lambda c: submissions.add(c, NEW))
    assert database.write_now(lambda c: submissions.uploaded(c, number, "file-1", 8))
    assert not database.write_now(lambda c: submissions.uploaded(c, number, "file-2", 8))
    assert not database.write_now(lambda c: submissions.created(c, number, BATCH, 9))
    assert database.write_now(lambda c: submissions.move(c, number, SubmissionState.CREATE_INTENT, 9))
    assert database.write_now(lambda c: submissions.created(c, number, BATCH, 10))
    assert database.write_now(lambda c: submissions.polled(c, number, BATCH, 11, 10))
    (at_work,) = database.read_now(submissions.open_ones)
    assert (at_work.batch_id, at_work.input_file_id, at_work.remote_done) == ("batch_1", "file-1", 1)
    assert (at_work.expires_ms, at_work.poll_ms, at_work.polls) == (99_000, 11, 1)
    ended = RemoteBatch("batch_1", "completed", output_file_id="file-o")
    assert database.write_now(lambda c: submissions.polled(c, number, ended, 12, 12))
    failure = Failure("ServerFault", "It was odd")
    assert database.write_now(lambda c: submissions.over(c, number, SubmissionState.INGESTED, 13, failure))
    over = database.read_now(lambda c: submissions.get(c, number))
    assert over is not None
    assert (over.state, over.output_file_id, over.ended_ms, over.poll_ms, over.failure) == (
        SubmissionState.INGESTED, "file-o", 12, None, failure,
    )  # fmt: skip
    assert database.read_now(submissions.open_ones) == []
    assert database.read_now(submissions.to_clean) == [over]
    database.write_now(lambda c: submissions.cleaned(c, number))
    assert database.read_now(submissions.to_clean) == []


def test_no_state_leads_back_from_the_end() -> None:
    for new, end in itertools.product(SubmissionState, (SubmissionState.INGESTED, SubmissionState.REFUSED)):
        assert end not in before(new)


def test_only_items_that_are_being_sent_go_with_a_submission(database: Database) -> None:
    def work(c: object) -> list[submissions.UnderWay]:
        for ordinal, state in enumerate(("sending", "pending")):
            c.execute(  # type: ignore[attr-defined]
                "INSERT INTO items (job_id, ordinal, source_key, name, state, updated_ms) VALUES (1, ?, ?, 'n', ?, 1)",
                (ordinal, str(ordinal), state),
            )
            c.execute(  # type: ignore[attr-defined]
                "INSERT INTO attempts (item_id, number, owner, request_sha256, sent_ms) VALUES (?, 1, 'o', '', 1)",
                (ordinal + 1,),
            )
        number = submissions.add(c, NEW)  # type: ignore[arg-type]
        submissions.take_items(c, number, [(1, "a note"), (2, "")])  # type: ignore[arg-type]
        return submissions.under_way(c, number)  # type: ignore[arg-type]

    assert database.write_now(work) == [submissions.UnderWay(1, 1, None, 0, 0, "a note", "")]


def test_what_was_found_out_about_a_provider_grows_old(database: Database) -> None:
    assert database.read_now(lambda c: submissions.offered(c, "openai", "u", 0)) is None
    database.write_now(lambda c: submissions.found_out(c, "openai", "u", True, 100))
    assert database.read_now(lambda c: submissions.offered(c, "openai", "u", 100)) is True
    assert database.read_now(lambda c: submissions.offered(c, "openai", "u", 101)) is None
    assert database.read_now(lambda c: submissions.offered(c, "openai", "elsewhere", 0)) is None
