"""Quotas per minute, quotas that headers name, and refusals behind which there is no quota, in virtual time."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest

from holychat.jobs.lane.control import Control
from tests.jobs.lane_model import AtOnce, PerMinute, Shedding, Smoothed, Storm, Unlimited, best, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.jobs.lane_model import Quota, Result


def lasting(seconds: float) -> Callable[[random.Random], float]:
    """Seconds of an answer that takes so long at the median."""
    return lambda chance: chance.lognormvariate(math.log(seconds), 0.3)


@pytest.mark.parametrize("seconds", [0.1, 0.4, 2])
@pytest.mark.parametrize("per_minute", [300, 600, 1200])
@pytest.mark.parametrize("hints", [False, True])
def test_the_end_of_an_unknown_quota_per_minute_costs_few_refusals(
    per_minute: int, seconds: float, hints: bool
) -> None:
    items = max(1500, per_minute * 5 // 2)
    for seed in (1, 2, 3):
        quota, latency = PerMinute(per_minute, hints=hints), lasting(seconds)
        result = run(Control(), quota, items, latency, seed=seed, echo=min(0.1, seconds / 4))
        assert best(PerMinute(per_minute), items, latency, seed=seed) / result.seconds >= 0.9, seed
        assert result.refused < 0.02 * (items + result.refused), seed


def test_a_quota_per_minute_that_is_known_refuses_nothing_any_more() -> None:
    """The first minute shows how many, the second that it was no accident; the last of these begin at 240 s."""
    quota = PerMinute(300)
    refused_at: list[float] = []
    admit = quota.admit

    def seen(now: float, in_flight: int) -> bool:
        admitted = admit(now, in_flight)
        if not admitted:
            refused_at.append(now)
        return admitted

    quota.admit = seen  # type: ignore[method-assign]
    run(Control(), quota, 1500, lasting(0.4))
    assert sum(time > 60 for time in refused_at) == 1
    assert max(refused_at) < 120


def test_a_minute_whose_begin_was_not_seen_is_not_forgotten_when_it_lasts_longer() -> None:
    result = run(Control(), PerMinute(300, offset=25), 1500, lasting(0.4))
    assert best(PerMinute(300, offset=25), 1500, lasting(0.4)) / result.seconds >= 0.9
    assert result.refused < 30


def test_a_minute_that_begins_a_little_later_than_thought_is_not_waited_for_long() -> None:
    """The first request is under way for a while: its connection is opened."""
    result = run(Control(), PerMinute(600, offset=-0.6), 1500, lasting(0.4))
    assert result.seconds < 130
    assert result.refused < 45


def test_a_quota_per_ten_seconds_is_not_waited_for_a_minute() -> None:
    result = run(Control(), PerMinute(100, seconds=10), 1500, lasting(0.4))
    assert best(PerMinute(100, seconds=10), 1500, lasting(0.4)) / result.seconds >= 0.6
    assert result.refused < 30


@pytest.mark.parametrize("quota", [lambda: PerMinute(600), lambda: Smoothed(3000)])
def test_a_refusal_stops_what_was_let_go_and_has_not_left(quota: Callable[[], Quota]) -> None:
    """Every request is written down before it leaves, and a refusal may come meanwhile."""
    at_once = run(Control(), quota(), 1500, lasting(0.4), echo=0.02)
    result = run(Control(), quota(), 1500, lasting(0.4), echo=0.02, written=0.06)
    assert result.refused <= 1.2 * at_once.refused
    assert result.seconds <= 1.05 * at_once.seconds


@pytest.mark.parametrize(("items", "seconds"), [(300, 0.3), (1000, 0.3), (1000, 1.89), (1000, 0.92)])
@pytest.mark.parametrize(
    "quota",
    [
        pytest.param(lambda: Smoothed(1000, headers=True), id="smoothed"),
        pytest.param(lambda: Smoothed(1000, 60, headers=True), id="smoothed, a minute of burst"),
        pytest.param(lambda: PerMinute(1000, headers=True), id="per minute"),
        pytest.param(lambda: PerMinute(1000, headers=True, offset=25), id="per minute, begun"),
    ],
)
def test_ninety_five_per_cent_of_a_quota_that_headers_name_are_used_the_start_and_the_end_included(
    quota: Callable[[], Quota], items: int, seconds: float
) -> None:
    result = run(Control(), quota(), items, lambda _: seconds, written=0.02)
    assert items * 60 / result.seconds >= 950
    assert result.refused == 0


@pytest.mark.parametrize(("per_minute", "items"), [(60, 200), (500, 1000), (1000, 3000)])
@pytest.mark.parametrize("offset", [0, 25])
def test_a_named_quota_that_is_used_up_is_waited_for(per_minute: int, items: int, offset: float) -> None:
    quota = PerMinute(per_minute, headers=True, offset=offset)
    result = run(Control(), quota, items, lambda _: 1.0)
    assert result.refused == 0
    assert best(PerMinute(per_minute, offset=offset), items, lambda _: 1.0) / result.seconds >= 0.75


class Smoothing(PerMinute):
    """Says that a whole minute's requests remain, and smooths them all the same."""

    def __init__(self, per_minute: int) -> None:
        super().__init__(per_minute, headers=True)
        self._bucket = Smoothed(per_minute)

    def admit(self, now: float, in_flight: int) -> bool:
        return self._bucket.admit(now, in_flight) and super().admit(now, in_flight)


def test_what_remains_is_not_used_at_one_blow_where_it_is_smoothed_as_well() -> None:
    result = run(Control(), Smoothing(1000), 1000, lambda _: 0.3)
    assert 1000 * 60 / result.seconds >= 940
    assert result.refused < 15


def test_what_remains_is_left_to_people_who_chat() -> None:
    control = Control()
    control.make_room(1)
    result = run(control, PerMinute(1000, headers=True), 200, lambda _: 0.3)
    assert result.seconds >= 200 / (0.9 * 0.95 * 1000 / 60) - 1


@pytest.mark.parametrize("share", [0.02, 0.05, 0.15])
@pytest.mark.parametrize("seconds", [0.4, 2])
def test_refusals_that_have_nothing_to_do_with_the_rate_do_not_slow_a_lane_down_for_long(
    share: float, seconds: float
) -> None:
    """A lane of a few requests a second was what 429s by chance made of it, at 2 % as well as at 15 %."""

    def sent_last(result: Result) -> float:
        return result.sent_at[-1] - result.sent_at[len(result.sent_at) // 2]

    undisturbed = run(Control(), Unlimited(), 6000, lasting(seconds))
    for seed in (1, 2, 3):
        quota = Shedding(share, named=False, _chance=random.Random(seed))
        result = run(Control(), quota, 6000, lasting(seconds), seed=seed)
        assert sent_last(result) < 2 * sent_last(undisturbed), seed
        assert result.seconds < 10 * undisturbed.seconds, seed


def test_a_quota_behind_refusals_by_chance_is_neither_ignored_nor_does_it_stop_the_lane() -> None:
    """No more than that: nothing tells the one refusal from the other."""

    class Both(Smoothed):
        _chance = random.Random(1)

        def admit(self, now: float, in_flight: int) -> bool:
            return self._chance.random() >= 0.1 and super().admit(now, in_flight)

    result = run(Control(), Both(3000), 4500, lasting(0.4))
    assert best(Smoothed(3000), 4500, lasting(0.4)) / result.seconds >= 0.1
    assert result.refused < 0.5 * 4500


@pytest.mark.parametrize(
    ("storm", "most_seconds"),
    [
        pytest.param(lambda: Storm(Unlimited(), 0.5, 60), 500, id="half of a minute"),
        pytest.param(lambda: Storm(Unlimited(), 0.97, 600, hint=1.0), 1200, id="nearly all of ten minutes"),
        pytest.param(lambda: Storm(AtOnce(3), 0.3, 300), 1000, id="a third of five minutes, and three at once"),
    ],
)
def test_a_storm_of_refusals_is_got_over_in_minutes(storm: Callable[[], Storm], most_seconds: float) -> None:
    """What is measured while it lasts says nothing of a quota, and a lane believed it for half an hour and more."""
    for seed in (1, 2, 3):
        chance = random.Random(seed)
        quota = storm()

        def fails(now: float, quota: Storm = quota, chance: random.Random = chance) -> bool:
            return now < quota.until and chance.random() < 0.3

        assert run(Control(), quota, 400, lasting(1.5), faults=fails, seed=seed).seconds < most_seconds, seed
