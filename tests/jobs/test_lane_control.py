"""The control of a lane against providers in virtual time: how much of a quota it uses, and how often it is refused."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import mean
from typing import TYPE_CHECKING

import pytest

from holychat.errors import Outcome, RateLimits
from holychat.jobs.lane.control import Control
from tests.jobs.lane_model import Accelerating, AtOnce, PerMinute, Shedding, Smoothed, Unlimited, best, run

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.jobs.lane_model import Quota


def slow(chance: random.Random) -> float:
    """Seconds of a long answer."""
    return chance.lognormvariate(math.log(6), 0.4)


def medium(chance: random.Random) -> float:
    return chance.lognormvariate(0, 0.4)


def fast(_: random.Random) -> float:
    return 0.05


def figures(quota: Callable[[], Quota], items: int, latency: Callable[[random.Random], float]) -> tuple[float, float]:
    """(share of the speed of somebody who knows the quota, share of refusals per item), over three seeds."""
    echo = 0.01 if latency is fast else 0.1
    ideal = mean(best(quota(), items, latency, seed=seed) for seed in (1, 2, 3))
    results = [run(Control(), quota(), items, latency, seed=seed, echo=echo) for seed in (1, 2, 3)]
    return ideal / mean(result.seconds for result in results), mean(result.refused for result in results) / items


@pytest.mark.parametrize(
    ("quota", "items", "latency"),
    [
        pytest.param(lambda: Smoothed(500), 1000, slow, id="500 RPM, 6 s"),
        pytest.param(lambda: Smoothed(500), 2000, slow, id="500 RPM, 6 s, 2000 items"),
        pytest.param(lambda: Smoothed(500, hints=True), 1000, slow, id="500 RPM with Retry-After"),
        pytest.param(lambda: Smoothed(500), 1000, medium, id="500 RPM, 1 s"),
        pytest.param(lambda: Smoothed(500), 1000, fast, id="500 RPM, 50 ms"),
        pytest.param(lambda: Smoothed(500, 10), 1000, slow, id="500 RPM, 10 s of burst"),
        pytest.param(lambda: Smoothed(500, 60), 1000, slow, id="500 RPM, a minute of burst"),
        pytest.param(lambda: Smoothed(60), 1000, slow, id="60 RPM"),
        pytest.param(lambda: Smoothed(1200), 2000, fast, id="1200 RPM, 50 ms"),
        pytest.param(lambda: Smoothed(4000), 2000, medium, id="4000 RPM, 1 s"),
        pytest.param(lambda: Smoothed(4000), 10_000, slow, id="4000 RPM, 6 s, 10,000 items"),
    ],
)
def test_nine_tenths_of_an_unknown_quota_are_used_and_hardly_anything_is_refused(
    quota: Callable[[], Quota], items: int, latency: Callable[[random.Random], float]
) -> None:
    speed, refused = figures(quota, items, latency)
    assert speed >= 0.9
    assert refused < 0.02


@pytest.mark.parametrize(("per_minute", "least"), [(60, 0.85), (500, 0.95)])
def test_no_run_of_luck_gets_a_lane_stuck(per_minute: int, least: float) -> None:
    """A window that had shrunk to one never grew again, with one seed in sixty."""
    for seed in (11, 39, *range(100, 115)):
        result = run(Control(), Smoothed(per_minute), 1000, slow, seed=seed)
        assert best(Smoothed(per_minute), 1000, slow, seed=seed) / result.seconds >= least, seed
        assert result.refused < 25, seed


@pytest.mark.parametrize("per_minute", [15, 20, 30])
def test_a_slow_bucket_is_not_taken_for_a_quota_of_one_request_at_a_time(per_minute: int) -> None:
    """Three seconds from one request to the next were taken for such a quota, and four and a half were waited."""
    speed, refused = figures(lambda: Smoothed(per_minute), 10 * per_minute, medium)
    assert speed >= 0.85
    assert refused < 0.12


@pytest.mark.parametrize("per_minute", [60, 500, 4000])
def test_a_quota_that_headers_name_is_used_without_refusals(per_minute: int) -> None:
    speed, refused = figures(lambda: Smoothed(per_minute, headers=True), 2000, slow)
    assert speed >= 0.88
    assert refused < 0.005


@pytest.mark.parametrize(
    ("quota", "items", "most_refused"),
    [
        pytest.param(lambda: PerMinute(60), 1000, 0.025, id="60 a minute"),
        pytest.param(lambda: PerMinute(60, hints=True), 1000, 0.025, id="60 a minute with Retry-After"),
        pytest.param(lambda: PerMinute(500), 2000, 0.02, id="500 a minute"),
        pytest.param(lambda: PerMinute(500, offset=30), 2000, 0.02, id="500 a minute, begun half over"),
        pytest.param(lambda: PerMinute(500, hints=True), 2000, 0.02, id="500 a minute with Retry-After"),
    ],
)
def test_a_quota_per_minute_is_used_in_bursts(quota: Callable[[], Quota], items: int, most_refused: float) -> None:
    speed, refused = figures(quota, items, slow)
    assert speed >= 0.85
    assert refused < most_refused


@pytest.mark.parametrize("limit", [8, 64])
@pytest.mark.parametrize("hints", [False, True])
def test_a_limit_of_requests_at_once_is_found(limit: int, hints: bool) -> None:
    speed, refused = figures(lambda: AtOnce(limit, hints), 1000, slow)
    assert speed >= 0.8
    assert refused < 0.06


def test_a_provider_that_minds_acceleration_is_brought_up_slowly() -> None:
    speed, refused = figures(lambda: Accelerating(500), 1000, slow)
    assert speed >= 0.7
    assert refused < 0.05


def test_a_server_without_limits_is_soon_used_fully() -> None:
    result = run(Control(), Unlimited(), 20_000, fast, echo=0.01)
    assert result.refused == 0
    assert result.most_at_once == 512
    assert result.seconds < 2.0 + 3.0, "the start takes too long"


@pytest.mark.parametrize(("seconds", "per_minute"), [(1.89, 180), (0.92, 250)])
def test_two_hundred_requests_are_ten_times_as_fast_as_published_the_way_up_included(
    seconds: float, per_minute: int
) -> None:
    result = run(Control(), Unlimited(), 200, lambda _: seconds)
    assert 200 * 60 / result.seconds >= 1.05 * 10 * per_minute


@pytest.mark.parametrize("seconds", [1.89, 0.92])
@pytest.mark.parametrize("hints", [False, True])
def test_an_unknown_quota_of_a_thousand_a_minute_is_used_to_ninety_five_per_cent(seconds: float, hints: bool) -> None:
    result = run(Control(), Smoothed(1000, hints=hints), 1000, lambda _: seconds)
    assert 1000 * 60 / result.seconds >= 950
    assert result.refused < 20


def test_a_concurrency_that_a_person_wants_is_kept_exactly() -> None:
    result = run(Control(500), Unlimited(), 2000, fast)
    assert result.most_at_once == 500
    assert run(Control(3), Unlimited(), 50, fast).most_at_once == 3
    refused = Control(20)
    assert run(refused, AtOnce(8), 300, slow).refused > 0
    assert refused.limit() == 20


def test_a_concurrency_that_is_expected_is_there_from_the_start_and_yields_to_refusals() -> None:
    control = Control()
    control.expect(300)
    assert control.limit() == 300
    result = run(control, Unlimited(), 1000, fast)
    assert result.seconds < 0.5
    control = Control()
    control.expect(300)
    assert run(control, AtOnce(8), 300, slow).refused < 60
    assert control.limit() < 20


def test_a_rate_that_a_person_knows_is_never_exceeded() -> None:
    result = run(Control(requests_per_minute=300), Unlimited(), 600, slow)
    assert result.seconds == pytest.approx(120, rel=0.2)
    for first, last in zip(result.sent_at, result.sent_at[300:], strict=False):
        assert last - first >= 59.5


def test_a_named_rate_is_shared_with_people_who_chat() -> None:
    control = Control(requests_per_minute=600)
    control.make_room(2)
    result = run(control, Unlimited(), 600, fast)
    assert result.seconds == pytest.approx(600 / 9, rel=0.05)
    assert control.limit() == max(1, control.window.size - 2)


def test_tokens_are_paced_as_headers_say() -> None:
    control = Control()
    now, sent = 0.0, 0
    while now < 60:
        ready = control.ready_at(now)
        if ready > now:
            now = ready
            continue
        ticket = control.take(now, 1000)
        sent += 1
        control.give_back(now, ticket, None, tokens=1000, limits=RateLimits(tokens_per_minute=60_000))
    assert 55 <= sent <= 59


def test_tokens_that_were_not_used_are_given_back() -> None:
    control = Control(tokens_per_minute=60_000)
    now, sent = 0.0, 0
    while now < 60:
        ready = control.ready_at(now)
        if ready > now:
            now = ready
            continue
        control.give_back(now, control.take(now, 1000), None, tokens=100)
        sent += 1
    assert sent > 500


def test_refusals_of_one_moment_cut_once() -> None:
    control = Control()
    control.pacer.search(1e9)
    tickets = [control.take(0.01 * number, 0) for number in range(100)]
    for ticket in tickets[:60]:
        control.give_back(1.0, ticket, None)
    rates = []
    for ticket in tickets[60:]:
        control.give_back(1.1, ticket, Outcome.REFUSED)
        rates.append(control.pacer.rate(1.1))
    assert len(set(rates)) == 1


def test_a_wait_that_the_provider_asks_for_holds_up_the_whole_lane() -> None:
    control = Control()
    ticket = control.take(0.0, 0)
    control.give_back(1.0, ticket, Outcome.REFUSED, retry_after=30.0)
    assert control.ready_at(1.5) == 31.0
    assert control.ready_at(1.5, background=True) == 31.0
    assert control.gate.ready_at(31.0) == 31.0
    assert "turns requests away" in control.state(2.0).why


def test_trouble_of_the_provider_stops_growth_and_cuts_nothing() -> None:
    control = Control()
    tickets = [control.take(0.0, 0) for _ in range(16)]
    before = control.window.size
    control.give_back(0.1, tickets[0], Outcome.SERVER_FAULT)
    for ticket in tickets[1:]:
        control.give_back(0.2, ticket, None)
    assert control.window.size == before
    assert control.gate.ready_at(0.2) == 0.2


def test_faults_in_the_middle_of_a_job_do_not_slow_it_down_for_long() -> None:
    result = run(Control(), Smoothed(500), 1000, slow, faults=lambda now: 50 < now < 55)
    assert result.seconds < 160


@pytest.mark.parametrize("share", [0.02, 0.05])
def test_a_provider_that_sheds_a_little_load_is_not_given_much_less(share: float) -> None:
    undisturbed = run(Control(20), Unlimited(), 2000, fast, echo=0.01)
    assert run(Control(20), Shedding(share), 2000, fast, echo=0.01).seconds < 1.5 * undisturbed.seconds


def test_a_provider_that_turns_everything_away_is_asked_less_and_less() -> None:
    control, now, asked = Control(20), 0.0, 0
    while now < 60:
        ticket = control.take(now, 0)
        control.give_back(now + 0.01, ticket, Outcome.REFUSED, overloaded=True)
        asked += 1
        now = max(now + 0.01, control.ready_at(now + 0.01))
    assert asked < 20


def test_background_work_gets_a_part_of_the_window() -> None:
    control = Control(16)
    now = 0.0
    for _ in range(4):
        now = max(now, control.ready_at(now, background=True))
        control.take(now, 0, background=True)
    assert control.ready_at(now + 1, background=True) == math.inf
    assert control.ready_at(now + 1) == now + 1


def test_a_request_that_was_not_sent_counts_nowhere() -> None:
    control = Control(requests_per_minute=60)
    ticket = control.take(0.0, 10)
    control.undo(ticket)
    assert control.in_flight == 0
    assert control.ready_at(0.0) == 0.0


def test_the_first_requests_do_not_go_all_at_once() -> None:
    """Half of them could be refused before anybody knows."""
    sent_at = run(Control(), Unlimited(), 16, slow).sent_at
    assert min(later - earlier for earlier, later in pairwise(sent_at)) > 0.01
    assert sent_at[-1] < 3
