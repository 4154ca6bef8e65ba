"""The form of a new job and its review: from a path to a job that was sent, and nothing sent before."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
from textual.events import Key

from holychat.domain.jobs import JobState, Kind, Priority, Recipe
from holychat.errors import UsageError
from holychat.settings import ProviderSettings
from holychat.tui.completion import file_choices
from holychat.tui.job_order import schema_from
from holychat.tui.widgets.job_fields import Choice, PathField
from holychat.tui.widgets.job_form import JobForm
from holychat.tui.widgets.job_list import JobList
from tests.support.script import stream_of
from tests.tui.driving import DEADLINE, driving, settings_for
from tests.tui.test_job_panel import QUIET, jobs_in, open_form, open_panel, papers

if TYPE_CHECKING:
    from pathlib import Path

    from holychat.tui.completion import Choice as Completion
    from tests.support.loopback import Loopback

__all__ = ["papers"]


async def test_a_folder_is_sent_with_a_path_and_two_enters(papers: Path) -> None:
    async with driving(QUIET, size=(110, 40)) as app:
        await open_form(app)
        await app.type("pa")
        await app.shows("papers/")
        await app.press("tab", "enter")
        await app.shows("Documents  5")
        assert "Price      $0" in app.text()
        await app.until(lambda: getattr(app.app.focused, "id", "") == "review-send")
        await app.until(lambda: jobs_in(app) == [JobState.DRAFT])  # nothing is sent before the second Enter
        await app.press("enter")
        await app.until(lambda: jobs_in(app) not in ([], [JobState.DRAFT]))
        job = app.app.jobs_shown[0]
        assert job.spec.sources[0].value == str(papers)
        assert job.spec.recipe == Recipe(Kind.SUMMARIZE, length="medium")
        assert job.spec.limits.trial is None
        assert isinstance(app.app.focused, JobList)


async def test_a_missing_key_is_told_before_anything_is_sent(papers: Path) -> None:
    keyless = ProviderSettings(kind="openai", base_url="http://127.0.0.1:9/v1", model="model-one", needs_key=True)
    async with driving(settings_for(providers={"test": keyless}), size=(110, 40)) as app:
        await app.press("escape")  # the way to a key that is offered at the start
        await open_form(app)
        await app.type("papers")
        await app.press("enter")
        await app.shows("No key for test")
        assert "Add a key" in app.text()
        assert jobs_in(app) == [JobState.DRAFT]
        services = app.app.services
        assert services is not None
        services.keychain.use("test", "sk-typed-in-this-window-0123456789")
        await app.press("escape", "enter")
        await app.shows("Documents  5")
        await app.until(lambda: getattr(app.app.focused, "id", "") == "review-send")
        assert "No key for test" not in app.text()


async def test_try_3_first_sends_three_and_waits(papers: Path) -> None:
    async with driving(QUIET, size=(110, 40)) as app:
        await open_form(app)
        await app.type("papers")
        await app.press("enter")
        await app.until(lambda: getattr(app.app.focused, "id", "") == "review-send")
        await app.press("right", "enter")
        await app.until(lambda: jobs_in(app) not in ([], [JobState.DRAFT]))
        assert app.app.jobs_shown[0].spec.limits.trial == 3
        await app.shows("trial done")
        assert "3 of 5 done" in app.text()


async def test_every_field_comes_into_the_order(papers: Path) -> None:
    async with driving(settings_for(), size=(110, 40)) as app:
        await open_form(app)
        await app.type("papers")
        await app.press("escape", "down", "c", "down")
        await app.type("good, bad")
        await app.press("down", "down", "right", "down")
        await app.type("2.50")
        await app.press("enter")
        await app.until(lambda: jobs_in(app) == [JobState.DRAFT])
        order = app.app.jobs_shown[0].spec
        assert order.recipe == Recipe(Kind.CLASSIFY, labels=("good", "bad"))
        assert order.priority is Priority.LOW
        assert order.limits.budget_micros == 2_500_000
        assert (order.provider, order.model) == ("test", "model-one")
        await app.shows("Price      unknown")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (["escape", "enter"], "Which files?"),
        (["x", "y", "escape", "enter"], "There is no file or folder xy"),
        (["p", "a", "tab", "tab", "c", "enter"], "Which labels?"),
        (["p", "a", "tab", "tab", "t", "enter"], "Into which language?"),
        (["p", "a", "tab", "tab", "e", "enter"], "Which schema?"),
        (["p", "a", "tab", "tab", "p", "enter"], "Which prompt?"),
    ],
)
async def test_the_form_says_what_is_missing(papers: Path, keys: list[str], told: str) -> None:
    async with driving(QUIET, size=(110, 40)) as app:
        await open_form(app)
        for key in keys:
            await app.press(key)
            if key == "a":
                await app.shows("papers/")
            if key == "escape" and app.app.main.panel is not None and app.app.main.panel.mode != "form":
                await app.press("n")
                await app.until(lambda: getattr(app.app.focused, "id", "") == "where")
        await app.shows(told)
        assert jobs_in(app) in ([], [JobState.DRAFT])


@pytest.mark.timeout(20)
def test_a_schema_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("pipe.json", ""):
        with pytest.raises(UsageError, match="not a regular file"):
            schema_from(str(tmp_path / name))
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    assert schema_from(str(tmp_path / "schema.json")) == '{"type": "object"}'


async def test_back_changes_the_same_draft(papers: Path) -> None:
    async with driving(QUIET, size=(110, 40)) as app:
        await open_form(app)
        await app.type("papers")
        await app.press("enter")
        await app.until(lambda: getattr(app.app.focused, "id", "") == "review-send")
        await app.press("escape")
        await app.until(lambda: getattr(app.app.focused, "id", "") == "where")
        await app.type("/1.md")
        await app.press("enter")
        await app.shows("Documents  1")
        await app.until(lambda: [job.spec.name for job in app.app.jobs_shown] == ["Summarise 1.md"])


async def test_a_form_that_was_left_is_a_draft_after_the_app_was_closed(papers: Path) -> None:
    async with driving(QUIET, size=(110, 40)) as app:
        await open_form(app)
        await app.type("papers")
        await app.press("escape", "down", "down")
        await app.press(*["delete"] * 10, "s", "h", "o", "r", "t")
        await app.until(lambda: jobs_in(app) == [JobState.DRAFT], "the draft is kept while it is typed")
    async with driving(QUIET, size=(110, 40)) as app:
        await open_panel(app)
        await app.shows("Summarise papers")
        await app.press("enter")
        await app.shows("Documents  5")
        await app.press("escape")
        await app.until(lambda: getattr(app.app.focused, "id", "") == "where")
        assert str(papers)[:20] in app.text()


async def test_a_file_is_chosen_in_the_tree_of_folders(papers: Path) -> None:
    (papers / "[b]bold.md").write_text("x")
    async with driving(QUIET, size=(110, 40)) as app:
        await open_form(app)
        await app.press("ctrl+t")
        await app.screen("FoldersScreen")
        await app.shows("papers/")
        await app.press("down", "down", "space")
        await app.shows("[b]bold.md")
        await app.press("down", "enter")
        await app.screen("ChatScreen")
        field = app.app.focused
        assert getattr(field, "value", "") == str(papers / "0.md")


async def test_the_model_is_chosen_in_the_usual_list(papers: Path, loopback: Loopback) -> None:
    loopback.models("model-one", "model-two")
    async with driving(settings_for(loopback), size=(110, 40)) as app:
        await open_form(app)
        await app.press("down", "down", "down", "down", "space")
        await app.screen("ModelsScreen")
        await app.shows("2 models")
        await app.type("two")
        await app.press("enter")
        await app.screen("ChatScreen")
        await app.shows("model-two · test")


async def test_a_tuned_chat_becomes_a_template_of_the_form(papers: Path, loopback: Loopback) -> None:
    loopback.chat(stream_of("It is about wombats."))
    async with driving(settings_for(loopback), size=(110, 40)) as app:
        await app.send("/batch")
        await app.screen("AskLineScreen")
        await app.press("escape")
        await app.asked("Name the animals in it")
        await app.send("/batch animals")
        await app.shows("“animals”")
        await app.shows("Name the animals in it")
        await app.until(lambda: getattr(app.app.focused, "id", "") == "where")
        await app.type("papers")
        await app.press("enter")
        await app.until(lambda: jobs_in(app) == [JobState.DRAFT])
        recipe = app.app.jobs_shown[0].spec.recipe
        assert recipe.kind is Kind.PROMPT
        assert "Name the animals in it" in recipe.prompt


async def test_batch_in_an_empty_chat_says_what_it_is_for() -> None:
    async with driving(settings_for()) as app:
        await app.send("/batch x")
        await app.notified("nothing to make a template of")


async def test_what_is_typed_while_panel_and_form_open_is_for_the_form(papers: Path) -> None:
    async with driving(QUIET, size=(110, 40)) as app:
        for key in ("f4", *"ndocx"):  # as a person types who knows the way, without a look at the screen
            app.app.post_message(Key(key, key if len(key) == 1 else None))
        await app.until(lambda: getattr(app.app.focused, "id", "") == "where")
        await app.until(lambda: app.app.main.query_one("#where", PathField).value == "docx")
        assert app.composer == ""


@pytest.mark.parametrize(("shown", "typed", "becomes"), [("", "pa", "papers/"), ("a", "b", "ab.txt")])
async def test_tab_completes_what_was_typed_before_it_however_slowly_the_folder_is_read(
    papers: Path, monkeypatch: pytest.MonkeyPatch, shown: str, typed: str, becomes: str
) -> None:
    for name in ("a.txt", "ab.txt"):
        (papers.parent / name).write_text("A wombat digs.")
    read = threading.Event()

    def slowly(text: str) -> tuple[Completion, ...]:
        assert text == shown or read.wait(DEADLINE)
        return file_choices(text)

    async with driving(QUIET, size=(110, 40)) as app:
        await open_form(app)
        monkeypatch.setattr("holychat.tui.widgets.job_fields.file_choices", slowly)
        field = app.app.main.query_one("#where", PathField)
        if shown:
            await app.type(shown)
            await app.shows("ab.txt")
        for key in (*typed, "tab"):
            app.app.post_message(Key(key, key if len(key) == 1 else None))
        app.app.call_later(read.set)  # behind the keys
        await app.until(lambda: field.value == becomes or not field.has_focus)
        assert (field.value, field.has_focus) == (becomes, True)


async def test_ready_made_templates_fill_the_form_in_and_a_kind_empties_it_again(papers: Path) -> None:
    async with driving(settings_for(), size=(110, 40)) as app:
        await open_form(app)
        await app.until(lambda: "1/" in app.text() or len(app.app.main.query_one("#doing", Choice).options) > 5)
        await app.type("papers")
        await app.press("escape", "down", "k")
        await app.shows("“key points”")
        await app.shows("5 bullet points")
        await app.press("i")
        await app.shows("“invoice”")
        await app.shows('{"type": "object"')
        await app.press("enter")
        await app.until(lambda: jobs_in(app) == [JobState.DRAFT])
        recipe = app.app.jobs_shown[0].spec.recipe
        assert app.app.jobs_shown[0].spec.name == "invoice: papers"
        assert recipe.kind is Kind.EXTRACT
        assert recipe.prompt.startswith("Amounts are numbers")
        assert '"currency"' in recipe.schema
        await app.until(lambda: getattr(app.app.focused, "id", "") == "review-send")
        await app.press("escape", "down", "e")
        await app.until(lambda: app.app.main.query_one("#doing", Choice).value == Kind.EXTRACT)
        assert app.app.main.query_one(JobForm).order.recipe == Recipe(Kind.EXTRACT)


async def test_what_few_need_is_behind_more_and_comes_into_the_order(papers: Path) -> None:
    async with driving(QUIET, size=(110, 40)) as app:
        await open_form(app)
        assert "Write to" not in app.text()
        await app.type("papers")
        await app.press("escape", *["down"] * 7)
        await app.until(lambda: getattr(app.app.focused, "id", "") == "more")
        await app.press("space")
        await app.until(lambda: getattr(app.app.focused, "id", "") == "concurrency")
        await app.type("0")
        await app.press("enter")
        await app.shows("requests at once?")
        await app.press("backspace", "8", "down")
        await app.type("nowhere/x.csv")
        await app.press("enter")
        await app.shows("There is no folder")
        await app.press("ctrl+u")
        await app.type("results.csv")
        await app.press("enter")
        await app.until(lambda: jobs_in(app) == [JobState.DRAFT])
        spec = app.app.jobs_shown[0].spec
        assert spec.limits.concurrency == 8
        assert (spec.out, spec.out_format) == (str(papers.parent / "results.csv"), "csv")
        await app.shows("results to results.csv")
