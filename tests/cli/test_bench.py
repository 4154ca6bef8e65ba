"""`holychat bench` as a process."""

from __future__ import annotations

import json
import signal
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.shell import DEADLINE, Shell
from tests.support.quota_server import QuotaServer

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
{more}
[providers.quota]
kind = "openai"
base_url = "{url}"
model = "alpha"
needs_key = false

[prices.quota.alpha]
input = 1.0
output = 2.0
"""
QUICK = {"alpha": (5.0, 20.0, 15.0), "beta": (5.0, 20.0, 15.0)}


class Bench(Shell):
    """A shell with a provider on loopback."""

    def __init__(self, home: Path, server: QuotaServer) -> None:
        super().__init__()
        self.home = home
        self.server = server
        self.configure()

    def configure(self, more: str = "") -> None:
        folder = self.home / "config"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.toml").write_text(CONFIG.format(url=self.server.base_url, more=more))

    def command(self, *arguments: str) -> tuple[str, ...]:
        return ("bench", "-p", "quota", *arguments)

    def spent(self) -> Any:
        """What `holychat cost` counts of this month."""
        return self.run("cost", "--json").json["total"]


@pytest.fixture
def bench(private_environment: Path) -> Any:
    with QuotaServer(paces=QUICK) as server:
        yield Bench(private_environment, server)


def test_it_works_offline_without_a_question(shell: Shell) -> None:
    done = shell.run("bench", "-p", "offline", "-n", "12")
    assert done.status == 0, done.error
    assert "extractive at offline" in done.text
    assert "0 of 12" in done.text
    assert "free" in done.error
    assert shell.run("history", "list").text == ""
    assert shell.run("batch", "list", "--json").json == []


def test_both_roads_carry_the_same_prompts(bench: Bench, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("".join(f"item-{number:06d} please\n" for number in range(10)))
    done = bench.run(*bench.command("-n", "25", "--live-n", "10", "--prompts", str(prompts), "--yes", "--json"))
    assert done.status == 0, done.error
    (model,) = done.json["models"]
    assert (model["model"], model["live"]["answered"], model["batch"]["answered"]) == ("alpha", 10, 25)
    accepted = bench.server.ledger().accepted
    assert accepted == {f"item-{n:06d}": 3 + (n < 5) for n in range(10)}


def test_every_model_gets_a_table(bench: Bench) -> None:
    done = bench.run(*bench.command("-m", "alpha", "-m", "beta", "-n", "6", "--yes"))
    assert done.status == 0, done.error
    assert "alpha at quota" in done.text
    assert "beta at quota" in done.text
    beta = done.text[done.text.index("beta at quota") :]
    assert "unknown" in beta
    assert "and what has no known price" in done.text


def test_the_price_is_shown_first_and_nobody_to_say_yes_means_nothing_is_sent(bench: Bench) -> None:
    done = bench.run(*bench.command("-n", "5"))
    assert done.status == 2
    assert "at most $" in done.error
    assert "--yes" in done.error
    assert bench.server.totals().arrived == 0


@pytest.mark.pty
@pytest.mark.parametrize(("answer", "status", "arrived"), [(b"y\r", 0, 10), (b"n\r", 130, 0)])
def test_it_asks_before_it_spends(bench: Bench, answer: bytes, status: int, arrived: int) -> None:
    done = bench.run_in_terminal(*bench.command("-n", "5"), typed=answer, wait_for=b"[y/N]")
    assert done.status == status, done.text
    assert "Spend up to $" in done.text
    assert bench.server.totals().arrived == arrived


@pytest.mark.pty
def test_an_unknown_price_is_asked_about_as_such(bench: Bench) -> None:
    done = bench.run_in_terminal(*bench.command("-m", "beta", "-n", "5"), typed=b"n\r", wait_for=b"[y/N]")
    assert done.status == 130
    assert "which is unknown" in done.text


def test_what_was_spent_counts_among_the_costs_and_nothing_else_is_kept(bench: Bench) -> None:
    done = bench.run(*bench.command("-n", "20", "--live-n", "5", "--yes", "--json"))
    spent = bench.spent()
    assert spent["requests"] == 25
    assert done.json["spent_micros"] == round(spent["usd"] * 1_000_000) > 0
    assert bench.run("batch", "list", "--json").json == []
    assert bench.run("history", "list").text == ""


def test_a_budget_is_kept_on_both_roads(bench: Bench) -> None:
    bench.server.set(reply_words=100)
    # At worst a request costs some 280 micro-dollars, in truth 220.
    done = bench.run(*bench.command("-n", "40", "--budget", "0.005", "--yes", "--json"))
    assert done.status == 0, done.error
    (model,) = done.json["models"]
    assert 0 < model["live"]["answered"] < 40
    assert 0 < model["batch"]["answered"] < 40
    assert "left" in model["live"]["note"]
    assert "left" in model["batch"]["note"]
    assert done.json["spent_micros"] <= 5000
    assert bench.spent()["usd"] <= 0.005


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        (("--budget", "0.000001"), "Not one request fits"),
        (("-m", "beta", "--budget", "1"), "price of beta is not known"),
        (("--prompts", "nowhere.txt"), "Cannot read"),
        (("--compare", "nowhere.json"), "Cannot read"),
        (("--save", "no/where.json"), "no folder"),
    ],
)
def test_what_cannot_be_is_found_out_before_anything_is_sent(
    bench: Bench, arguments: tuple[str, ...], title: str
) -> None:
    done = bench.run(*bench.command("-n", "5", "--yes", *arguments))
    assert done.status == 2
    assert title in done.error
    assert bench.server.totals().arrived == 0


def test_a_limit_per_day_holds_it(bench: Bench) -> None:
    bench.configure("[limits]\nday = 0.002")
    first = bench.run(*bench.command("-n", "40", "--yes", "--json"))
    assert first.status == 0, first.error
    assert 0 < first.json["spent_micros"] <= 2000
    bench.configure("[limits]\nday = 0.0001")
    for model in ("alpha", "beta"):
        held = bench.run(*bench.command("-m", model, "-n", "5", "--yes"))
        assert held.status == 2
        assert "Not one request fits" in held.error


def test_a_limit_that_is_not_reached_lets_an_unknown_price_pass_as_in_a_chat(bench: Bench) -> None:
    bench.configure("[limits]\nday = 1.0")
    done = bench.run(*bench.command("-m", "alpha", "-m", "beta", "-n", "5", "--yes", "--json"))
    assert done.status == 0, done.error
    assert [model["batch"]["answered"] for model in done.json["models"]] == [5, 5]


def test_figures_are_saved_compared_and_drawn(bench: Bench, tmp_path: Path) -> None:
    save, svg = tmp_path / "a.json", tmp_path / "a.svg"
    done = bench.run(*bench.command("-n", "8", "--yes", "--save", str(save), "--svg", str(svg)))
    assert done.status == 0, done.error
    assert json.loads(save.read_text())["format"] == 1
    assert ET.parse(svg).getroot().tag.endswith("svg")
    again = bench.run(*bench.command("-n", "8", "--yes", "--compare", str(save)))
    assert "end to end, p50, live" in again.text
    assert " -> " in again.text
    assert bench.run(*bench.command("-n", "8", "--yes", "--save", str(save))).status == 2
    replaced = bench.run(*bench.command("-n", "4", "--yes", "--save", str(save), "--overwrite"))
    assert replaced.status == 0
    assert json.loads(save.read_text())["models"][0]["batch"]["answered"] == 4


@pytest.mark.parametrize("road", ["live", "batch"])
def test_ctrl_c_prints_what_was_measured_and_ends_with_130(bench: Bench, road: str, tmp_path: Path) -> None:
    # In the batch some replies come soon and the rest never.
    if road == "live":
        bench.server.set(paces={"alpha": (20.0, 100.0, 100.0)})
        arguments, enough = ("-n", "500"), 5
    else:
        prompts = tmp_path / "prompts.txt"
        prompts.write_text("item-000000\n" * 10 + "item-000001 @@hang@@\n" * 200)
        arguments, enough = ("-n", "200", "--live-n", "2", "--prompts", str(prompts)), 13
    with bench.start(*bench.command(*arguments, "--yes", "--json")) as running:
        wait_until(lambda: bench.server.totals().arrived >= enough)
        running.send(signal.SIGINT)
        out, error = running.process.communicate(timeout=DEADLINE)
    assert running.process.returncode == 130, error
    found = json.loads(out)
    assert found["interrupted"]
    (model,) = found["models"]
    assert (model["batch"] is None) == (road == "live")
    assert 0 < model[road]["answered"] < 200
    assert round(bench.spent()["usd"] * 1_000_000) == found["spent_micros"] > 0


@pytest.mark.parametrize("how", ["table", "json"])
def test_ctrl_c_before_the_first_reply_says_that_nothing_was_measured(bench: Bench, how: str) -> None:
    bench.server.set(paces={"alpha": (20_000.0, 20_000.0, 20_000.0)})
    with bench.start(*bench.command("-n", "5", "--yes", *(["--json"] if how == "json" else []))) as running:
        wait_until(lambda: bench.server.totals().arrived >= 1)
        running.send(signal.SIGINT)
        out, error = running.process.communicate(timeout=DEADLINE)
    assert running.process.returncode == 130, error
    assert b"It was interrupted before the first reply: nothing was measured." in error
    if how == "json":
        assert json.loads(out)["interrupted"]
    else:
        assert out.startswith(b"alpha at quota\n")
        assert b"Spent: " in out


def test_errors_are_counted_and_told(bench: Bench) -> None:
    bench.server.set(rates={"500": 0.3}, seed=3)
    done = bench.run(*bench.command("-n", "20", "--yes", "--json"))
    assert done.status == 0, done.error
    (model,) = done.json["models"]
    assert model["live"]["errors"] + model["live"]["answered"] == 20
    assert model["live"]["errors"] > 0
    assert model["batch"]["answered"] + model["batch"]["errors"] == 20


def test_a_provider_that_cannot_be_reached_is_an_error_and_no_table(bench: Bench) -> None:
    bench.configure()
    config = bench.home / "config" / "config.toml"
    config.write_text(config.read_text().replace(bench.server.base_url, "http://127.0.0.1:9/v1"))
    done = bench.run(*bench.command("-n", "5", "--yes"))
    assert done.status == 5
    assert done.text == ""


def test_a_missing_key_is_told_as_everywhere(shell: Shell) -> None:
    done = shell.run("bench", "-p", "openai", "-n", "2", "--yes")
    assert done.status == 3
    assert done.text == ""


def test_a_fixed_concurrency_is_kept(bench: Bench) -> None:
    bench.server.set(paces={"alpha": (5.0, 20.0, 50.0)})
    done = bench.run(*bench.command("-n", "60", "--live-n", "2", "--concurrency", "7", "--yes", "--json"))
    assert done.status == 0, done.error
    assert bench.server.totals().peak == 7
    assert done.json["concurrency"] == 7


def wait_until(condition: Any) -> None:
    import time

    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
