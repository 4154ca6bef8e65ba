"""Benchmarks of the desk: throughput beside what people write themselves, memory, typing beside a job, unknown quotas.

Requests per second and seconds are the server's: from the arrival of the first request to the last answer. The desk
runs whole: submitted in a shell, done by its worker, every request written down before it leaves and every answer
before it is read.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.desk import Desk, write_requests
from tests.bench.driver import KEYS
from tests.support.quota_server import QuotaServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.driver import Driver
    from tests.bench.measure import Plan
    from tests.bench.terminal import Terminal
    from tests.support.quota_server import Ledger

Row = dict[str, Any]
CLIENTS = ("httpx", "openai", "aiohttp")
OURS = "holychat"
_REPOSITORY = Path(__file__).parents[2]
_AT_ONCE = 500
"""Requests at once of the job beside which somebody types."""
_TYPING_LATENCY_MS = 50.0
_AS_THE_WORKER = ("nice", "-n", "5")
"""The desk's worker leaves the processor to others, so the clients do, too: other work on the machine hits all alike.
"""


def batch(driver: Driver, plan: Plan) -> Iterator[Row]:
    """So many requests at some latencies and concurrencies: the usual clients and the desk, in turn."""
    requests = write_requests(driver.new_folder() / "requests.jsonl", plan.batch_requests)
    pythons = {_name_of_openai(python): str(python) for python in plan.openai_pythons}
    programs = (*CLIENTS, *pythons, OURS)
    rounds = product(range(plan.repetitions), plan.batch_latencies, plan.batch_at_once, programs)
    with QuotaServer() as server:
        for _, latency, at_once, program in rounds:
            server.set(latency_ms=latency)
            server.reset()
            begun = time.monotonic()
            if program == OURS:
                used = _by_desk(driver, plan, server, requests, at_once)
            else:
                python = pythons.get(program, sys.executable)
                used = _by_client(program.partition(" ")[0], server, requests, at_once, python)
            ledger = server.ledger()
            _check(ledger, plan.batch_requests)
            yield {
                "program": program,
                "latency_ms": latency,
                "at_once": at_once,
                "requests": plan.batch_requests,
                "per_second": plan.batch_requests / ledger.seconds,
                "whole_s": time.monotonic() - begun,
                "peak": ledger.peak,
                **used,
            }


def _name_of_openai(python: Path) -> str:
    asked = [str(python), "-c", "import openai; print(openai.__version__)"]
    return f"openai {subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()}"


def _by_client(name: str, server: QuotaServer, requests: Path, at_once: int, python: str) -> Row:
    command = [python, "-m", "tests.bench.batch_clients", name, server.base_url, str(requests), str(at_once)]
    command = [*_AS_THE_WORKER, *command]
    done = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    return {"cpu_s": told["cpu_s"], "memory_mb": told["memory_mb"]}


def _by_desk(driver: Driver, plan: Plan, server: QuotaServer, requests: Path, at_once: int) -> Row:
    """The figures are those of the whole worker process: start, reading the file, sending, writing everything down."""
    with Desk(driver.new_folder(), server.base_url, plan.holychat) as desk:
        desk.submit(requests, "--concurrency", str(at_once), "--wait")
        used = desk.used()
        return {"cpu_s": used.cpu_s, "memory_mb": used.memory_mb}


def _check(ledger: Ledger, count: int) -> None:
    """A figure counts only if everything was done, and once."""
    if len(ledger.accepted) != count or set(ledger.accepted.values()) != {1}:
        raise RuntimeError(f"Of {count} requests {len(ledger.accepted)} were accepted: {ledger.outcomes}")


def batch_memory(driver: Driver, plan: Plan) -> Iterator[Row]:
    """The most memory that the worker had for a small job and for a large one."""
    for size in plan.memory_items:
        requests = write_requests(driver.new_folder() / "requests.jsonl", size)
        with QuotaServer() as server, Desk(driver.new_folder(), server.base_url, plan.holychat) as desk:
            desk.submit(requests, "--concurrency", "100")
            desk.wait_until_ended()
            used, ledger = desk.used(), server.ledger()
            _check(ledger, size)
            requests.unlink()
            yield {
                "program": OURS,
                "size": size,
                "memory_mb": used.memory_mb,
                "cpu_s": used.cpu_s,
                "per_second": size / ledger.seconds,
            }


def batch_typing(driver: Driver, plan: Plan) -> Iterator[Row]:
    """From a key press to its echo: at rest, and while a job of the same home has 500 requests under way.

    What a client of somebody else's with the same load does to the app shows how much of it is the machine's.
    """
    from tests.bench.measure import echoes, milliseconds

    requests = write_requests(driver.new_folder() / "requests.jsonl", plan.typing_items)
    for repetition, beside in product(range(plan.repetitions), ("rest", "aiohttp", "job")):
        with QuotaServer(latency_ms=_TYPING_LATENCY_MS) as server, contextlib.ExitStack() as stack:
            desk = stack.enter_context(Desk(driver.new_folder(), server.base_url, plan.holychat))
            terminal = stack.enter_context(_rested(driver, desk, plan))
            if beside == "job":
                desk.submit(requests, "--concurrency", str(_AT_ONCE))
            elif beside == "aiohttp":
                stack.callback(_stop, _in_background(server, requests))
            if beside != "rest":
                _wait_for_requests(server)
            before = server.totals().arrived
            begun = time.monotonic()
            delays = echoes(terminal, min(plan.keys, len(KEYS)), repetition)
            took, arrived = time.monotonic() - begun, server.totals().arrived - before
            yield {
                "program": OURS,
                "beside": beside,
                "per_second": arrived / took,
                "delays_ms": milliseconds(delays),
            }


def _rested(driver: Driver, desk: Desk, plan: Plan) -> Terminal:
    terminal = driver.ready(plan.holychat, desk.home)
    terminal.wait_until_idle()
    return terminal


def _in_background(server: QuotaServer, requests: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.bench.batch_clients", "aiohttp", server.base_url, str(requests)]
    return subprocess.Popen([*command, str(_AT_ONCE)], cwd=_REPOSITORY, stdout=subprocess.DEVNULL)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _wait_for_requests(server: QuotaServer) -> None:
    end = time.monotonic() + 30
    while server.totals().arrived < _AT_ONCE // 10:
        if time.monotonic() > end:
            raise TimeoutError("No request arrived")
        time.sleep(0.05)


def batch_quota(driver: Driver, plan: Plan) -> Iterator[Row]:
    """A quota that nobody knows of and no header tells: how much longer than at best, how many requests refused."""
    for _, (name, (count, rules)) in product(range(plan.repetitions), plan.quotas.items()):
        with (
            QuotaServer(latency_ms=(plan.quota_latency_ms, 0.3), **rules) as server,
            Desk(driver.new_folder(), server.base_url, plan.holychat, rate_known=False) as desk,
        ):
            desk.submit(write_requests(driver.new_folder() / "requests.jsonl", count))
            desk.wait_until_ended()
            ledger = server.ledger()
            _check(ledger, count)
            yield {
                "program": OURS,
                "quota": name,
                "requests": count,
                "ideal_s": _ideal(count, rules) + plan.quota_latency_ms / 1000,
                "took_s": ledger.seconds,
                "refused_pct": 100 * ledger.refused / ledger.arrived,
            }


def _ideal(count: int, rules: dict[str, Any]) -> float:
    """Seconds that somebody who knew the quota would need for the acceptance of all."""
    if (per_second := rules.get("per_second")) is not None:
        return max(0.0, (count - per_second * rules.get("burst_s", 1.0)) / per_second)
    windows = (count - 1) // rules["per_minute"]
    return windows * float(rules.get("minute_s", 60))
