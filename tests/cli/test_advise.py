"""`holychat advise`, and the roads in what a job will take: the comparison, the facts under it, the road and why."""

from __future__ import annotations

import json
import re

from tests.cli.batch_shell import QUOTA, BatchShell

PRICED = QUOTA.format(url="http://127.0.0.1:1/v1")


def columns(text: str, name: str) -> list[str]:
    """The values of a line of the comparison."""
    line = next(line for line in text.splitlines() if line.startswith(name))
    return re.split(r"\s{2,}", line.strip())[1:]


def test_the_roads_stand_side_by_side_with_the_facts_they_rest_on(desk: BatchShell) -> None:
    desk.configure(PRICED)
    done = desk.run("advise", "-p", "quota", "--requests", "1000", "--tokens-in", "1000", "--tokens-out", "500")
    assert done.status == 0, done.error
    assert "1,000 requests, 1,000,000 tokens in, 500,000 out" in done.text
    assert columns(done.text, "Price") == ["~$2.00", "~$2.00", "unknown"]
    assert columns(done.text, "First token")[0] == "~1.0 s"
    assert columns(done.text, "End")[1].startswith("~")
    assert "never measured here" in done.text
    assert "20 requests at once" in done.text
    assert "Road: the desk (priority medium)" in done.text
    assert "Not the provider's batch service" in done.text


def test_documents_are_counted_and_nothing_is_written_down(desk: BatchShell) -> None:
    desk.configure(PRICED)
    done = desk.run("advise", str(desk.documents), "-p", "quota", "--waiting", "--json")
    assert done.status == 0, done.error
    found = done.json
    assert found["estimate"]["documents"] == 3
    assert (found["road"], found["priority"]) == ("desk", "medium")
    assert [offer["road"] for offer in found["offers"]] == ["live", "desk", "provider_batch"]
    assert found["offers"][0]["cost_usd"] == found["estimate"]["cost_usd"] > 0
    assert found["offers"][2]["cost_usd"] is None
    assert desk.jobs() == []


def test_somebody_who_waits_for_one_answer_gets_it_live(desk: BatchShell) -> None:
    desk.configure(PRICED)
    done = desk.run("advise", "-p", "quota", "--waiting")
    assert "Road: live (priority high)" in done.text
    assert "Somebody is waiting" in done.text


def test_time_and_money_rule_roads_out_and_it_is_said(desk: BatchShell) -> None:
    desk.configure(PRICED)
    done = desk.run("advise", "-p", "quota", "--requests", "1000", "--within", "30m", "--budget", "5")
    assert "Not live: may take longer than there is time." in done.text
    assert "Road: the desk" in done.text
    dear = desk.run("advise", "-p", "quota", "--requests", "100000", "--budget", "1")
    assert "costs more than the budget" in dear.text
    assert "No road keeps to all of it" in dear.text


def test_a_price_that_nobody_knows_stays_unknown(desk: BatchShell) -> None:
    desk.configure(PRICED)
    done = desk.run("advise", "-p", "quota", "-m", "some-other-model", "--requests", "10")
    assert columns(done.text, "Price") == ["unknown", "unknown", "unknown"]


def test_ready_made_requests_are_counted_as_such(desk: BatchShell) -> None:
    desk.configure(PRICED)
    body = {"model": "quota-model", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 10}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    file = desk.documents / "requests.jsonl"
    file.write_text(json.dumps(line) + "\n" + json.dumps(line | {"custom_id": "b"}) + "\n")
    assert "2 documents" in desk.run("advise", str(file), "-p", "quota").text


def test_what_makes_no_sense_is_refused(desk: BatchShell) -> None:
    assert desk.run("advise", str(desk.documents), "--requests", "5").status == 2
    refused = desk.run("advise", "--within", "soon")
    assert (refused.status, "30m" in refused.error) == (2, True)
    assert desk.run("advise", "-p", "nobody").status == 2
    assert desk.run("advise", str(desk.documents / "missing")).status == 2


def test_a_dry_run_shows_the_roads_and_the_one_that_is_taken(desk: BatchShell) -> None:
    desk.configure(PRICED)
    order = ("summarize", str(desk.documents), "-p", "quota", "--dry-run")
    done = desk.batch(*order)
    assert "Road         Medium priority: on the desk, within minutes." in done.text
    assert columns(done.text, "Price ")[0] != ""
    assert len(columns(done.text, "End")) == 3
    assert "Time" not in done.text, "another estimate beside it is one too many"
    low = desk.batch(*order, "--priority", "low", "--json").json["roads"]
    assert (low["road"], low["priority"]) == ("desk", "low")
    assert "no batch service" in low["reasons"][-1]
    first = desk.batch(*order, "--priority", "high").text
    assert "Road         High priority: on the desk, before other jobs." in first


def test_before_the_question_one_line_says_which_road_and_why(desk: BatchShell) -> None:
    sent = desk.summarize("--yes", "--wait")
    assert sent.status == 0, sent.error
    assert "Time " in sent.error
    assert "Road " in sent.error
    assert "Medium priority: on the desk" in sent.error
