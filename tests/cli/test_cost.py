"""`holychat cost` and the limits, as processes."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from holychat.errors import ExitCode
from tests.support.script import events_reply, reply_events

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell
    from tests.support.loopback import Loopback


def settings(home: Path, text: str) -> None:
    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config" / "config.toml").write_text(text)


def ask(shell: Shell, loopback: Loopback, *options: str, usage: tuple[int, int] = (100_000, 50_000)) -> Any:
    loopback.chat(events_reply(reply_events(["ok"], usage=usage)))
    return shell.run("ask", *options, "why?")


def test_what_was_spent_is_printed_by_model_and_by_day(connected: Shell, loopback: Loopback) -> None:
    ask(connected, loopback, "-m", "gpt-4.1")
    ask(connected, loopback, "-m", "deepseek-v3.2")
    ask(connected, loopback, "-m", "something-new")
    done = connected.run("cost")
    assert done.status == ExitCode.DONE
    lines = [" ".join(line.split()) for line in done.text.splitlines()]
    today, month, _, title, first, second, third, *days = lines
    assert today == "Today $0.63 3 requests; 300,000 tokens in, 150,000 out; 1 of unknown price, not in the sum"
    assert month.startswith("This month $0.63")
    assert title == "By model"
    assert first.startswith("gpt-4.1 (holysheep) $0.60 ██")
    assert second.startswith("deepseek-v3.2 (holysheep) $0.031 █")
    assert third == "something-new (holysheep) unknown"
    assert days[-1].startswith(f"{date.today().isoformat()} $0.63 █")  # noqa: DTZ011  # the day of the person
    assert days[-1].endswith(" + 1 unknown")


def test_json_has_exact_sums_and_null_for_what_is_unknown(connected: Shell, loopback: Loopback) -> None:
    ask(connected, loopback, "-m", "deepseek-v3.2", usage=(7, 3))
    ask(connected, loopback, "-m", "something-new", usage=(7, 3))
    found = connected.run("cost", "--json").json
    assert found["total"] == {
        "usd": 0.000002, "requests": 2, "estimated": 0, "unknown": 1, "input_tokens": 14, "output_tokens": 6
    }  # fmt: skip
    assert [row["usd"] for row in found["by_model"]] == [0.000002, None]
    assert found["by_day"][-1]["requests"] == 2
    assert connected.run("cost", "--by", "chat", "--json").json["by_chat"][0]["id"] in (1, 2)


@pytest.mark.parametrize("by", ["model", "provider", "day", "chat", "job"])
def test_one_table_can_be_asked_for(connected: Shell, loopback: Loopback, by: str) -> None:
    ask(connected, loopback, "-m", "gpt-4.1")
    lines = connected.run("cost", "--by", by).text.splitlines()
    assert len(lines) == 1
    assert ("$0.60" in lines[0]) == (by != "job")
    assert lines[0] == "Nothing was spent." or by != "job"


def test_days_can_be_chosen(connected: Shell, loopback: Loopback) -> None:
    ask(connected, loopback, "-m", "gpt-4.1")
    assert connected.run("cost", "--since", "3d", "--json").json["total"]["requests"] == 1
    assert (
        connected.run("cost", "--until", "yesterday", "--since", "2020-02-29", "--json").json["total"]["requests"] == 0
    )
    for wrong in (("--since", "2020-02-30"), ("--since", "soon"), ("--since", "today", "--until", "yesterday")):
        done = connected.run("cost", *wrong)
        assert (done.status, done.out) == (ExitCode.USAGE, b"")


def test_the_days_that_were_chosen_stand_apart_from_what_was_spent_in_them(
    connected: Shell, loopback: Loopback
) -> None:
    ask(connected, loopback, "-m", "gpt-4.1")
    today = datetime.now().astimezone().date()
    a_year_ago = today.replace(year=today.year - 1, day=1)
    first, second = connected.run("cost", "--since", str(a_year_ago)).text.splitlines()[:2]
    assert second.startswith(f"{a_year_ago} to {today}  $0.60")
    assert first.index("$0.60") == second.index("$0.60")
    first, second = connected.run("cost").text.splitlines()[:2]
    assert (first[:17], second[:17]) == ("Today       $0.60", "This month  $0.60")


def test_nothing_spent_is_said(shell: Shell) -> None:
    assert shell.run("cost").text == (
        "Today       $0  0 requests\nThis month  $0  0 requests\n\n"
        "By model\nNothing was spent.\n\nBy day\nNothing was spent.\n"
    )


def test_what_a_deleted_chat_cost_stays_in_the_sum(connected: Shell, loopback: Loopback) -> None:
    ask(connected, loopback, "-m", "gpt-4.1")
    assert connected.run("history", "delete", "--yes", "1").status == ExitCode.DONE
    assert connected.run("cost", "--by", "chat").text.startswith("1 untitled or deleted  $0.60")


def test_a_request_over_the_limit_is_held_and_can_be_let_pass(
    connected: Shell, loopback: Loopback, private_environment: Path
) -> None:
    settings(private_environment, "[limits]\nday = 0.1\n")
    done = ask(connected, loopback, "-m", "gpt-4.1")
    assert (done.status, done.out) == (ExitCode.USAGE, b"")
    assert "today's limit of $0.10" in done.error
    assert "--over-limit" in done.error
    assert loopback.requests == []
    assert connected.run("history", "list").text == ""
    done = ask(connected, loopback, "-m", "gpt-4.1", "--over-limit", usage=(10, 10))
    assert (done.status, done.out) == (ExitCode.DONE, b"ok")
    done = ask(connected, loopback, "-m", "gpt-4.1", "--max-tokens", "1000", usage=(1000, 10_000))
    assert done.status == ExitCode.DONE
    done = ask(connected, loopback, "-m", "gpt-4.1", "--max-tokens", "1000", usage=(10, 10))
    assert "82 % of today's limit of $0.10 is spent" in done.error
    assert "Limit: 82 % of today's limit of $0.10 is spent." in connected.run("cost").text


def test_prices_of_the_settings_are_in_force(connected: Shell, loopback: Loopback, private_environment: Path) -> None:
    settings(private_environment, '[prices.holysheep."gpt-4.1"]\ninput = 0\noutput = "0.5"\ncontext = 4\n')
    done = ask(connected, loopback, "-m", "gpt-4.1", "--json", usage=(10, 100))
    assert done.json["cost_usd"] == 0.00005
    assert "reads and writes 4 at most" in done.error
    settings(private_environment, "[prices.holysheep.gpt-4.1]\ninput = 1\noutput = 1\n")
    done = connected.run("cost")
    assert done.status == ExitCode.USAGE
    assert '[prices.holysheep."gpt-4.1"]' in done.error


def test_a_price_that_lacks_its_rest_is_named_by_every_command_and_by_doctor(
    shell: Shell, private_environment: Path
) -> None:
    settings(private_environment, '[prices.mine."x.y"]\ncached = 1\n')
    assert 'prices.mine."x.y".input is missing' in shell.run("ask", "-p", "offline", "hello").error
    done = shell.run("doctor", "--no-network")
    assert done.status == ExitCode.FAILED
    assert 'prices.mine."x.y".input is missing' in done.text


def test_a_plan_reproduces_the_published_figures_and_refuses_the_one_that_does_not_follow(shell: Shell) -> None:
    for arguments in ((), ("--tokens-per-day", "1M", "--model", "gpt-4.1", "--batch-share", "0.7")):
        done = shell.run("cost", "plan", *arguments)
        assert done.status == ExitCode.DONE
        lines = {" ".join(line.split()) for line in done.text.splitlines()}
        assert "gpt-4.1, all streamed $8.00 $240.00" in lines
        assert "deepseek-v3.2, all streamed $0.42 $12.60 94.8 %" in lines
        assert "gpt-4.1 30 % streamed, deepseek-v3.2 70 % batched $2.694 $80.82 66.3 %" in lines
        assert "$0.70 per day (published for a hybrid) does not follow from the list prices" in done.text
        assert "it would take a share of 96.3 %" in done.text
        assert "per day = tokens x (input share x input price + output share x output price)" in lines


def test_a_plan_as_json_is_exact(shell: Shell) -> None:
    options = ("-p", "openai", "-m", "gpt-4.1", "--in-out-ratio", "3:1", "--batch-share", "50%", "--claim", "1")
    found = shell.run("cost", "plan", *options, "--json").json
    assert [row["usd_per_day"] for row in found["scenarios"][:3]] == [3.5, 1.75, 2.625]
    assert found["scenarios"][2]["saving"] == 0.25
    assert found["claims"][0]["follows_from"] == []
    assert found["prices"]["gpt-4.1"]["batch_output"] == 4.0


@pytest.mark.parametrize(
    "wrong",
    [
        ("--tokens-per-day", "0"), ("--tokens-per-day", "many"), ("--batch-share", "1.2"), ("--batch-share", "-1"),
        ("--in-out-ratio", "1:0"), ("--in-out-ratio", "x"), ("-m", "gpt-9"), ("-p", "local"), ("--claim", "x"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_in_a_plan_is_a_usage_error(shell: Shell, wrong: tuple[str, str]) -> None:
    done = shell.run("cost", "plan", *wrong)
    assert (done.status, done.out) == (ExitCode.USAGE, b"")


def test_models_are_listed_with_price_context_and_where_the_price_is_from(connected: Shell, loopback: Loopback) -> None:
    loopback.models("gpt-4.1", "nobody-knows")
    first, second = connected.run("models", "--json").json
    assert first["usd_per_million"]["output"] == 8.0
    assert second["usd_per_million"] is None
