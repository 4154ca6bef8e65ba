"""Which road: what each costs and takes, which one is chosen, and that the reasons say it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holychat.domain.jobs import Priority
from holychat.domain.roads import Road, RoadFacts, Work, choose, offers
from holychat.domain.usage import Cost

KNOWN = RoadFacts(
    live_cost=Cost(1_000_000, estimated=True),
    batch_cost=Cost(500_000, estimated=True),
    first_token_seconds=0.05,
    reply_seconds=2.0,
    measured_replies=40,
    batch_service=True,
)
MANY = Work(requests=1000, input_tokens=1_000_000, output_tokens=200_000)


def test_the_offers_stand_side_by_side_with_their_facts() -> None:
    live, desk, batch = offers(MANY, KNOWN)
    assert (live.road, desk.road, batch.road) == (Road.LIVE, Road.DESK, Road.PROVIDER_BATCH)
    assert (live.first_token_seconds, live.requests_per_minute) == (0.05, 30.0)
    assert live.end_seconds[0] == 2000
    # Twenty at once: twenty times the requests per minute, a twentieth of the time.
    assert desk.requests_per_minute == 600
    assert desk.end_seconds[0] == 100
    assert (live.cost, batch.cost) == (KNOWN.live_cost, KNOWN.batch_cost)
    assert batch.end_seconds[1] == 86_400
    assert any("median of 40" in fact for fact in live.facts)


def test_a_known_rate_limits_the_desk() -> None:
    facts = RoadFacts(reply_seconds=2.0, requests_per_minute=100.0)
    assert offers(MANY, facts)[1].requests_per_minute == 100
    assert offers(MANY, facts, background=True)[1].requests_per_minute == 50


def test_a_speed_that_was_never_measured_is_called_assumed() -> None:
    live, *_ = offers(MANY, RoadFacts())
    assert "Assumed" in live.facts[0]
    assert live.end_seconds[1] == 2 * live.end_seconds[0]


@pytest.mark.parametrize(
    ("priority", "service", "road"),
    [
        (Priority.HIGH, True, Road.LIVE),
        (Priority.MEDIUM, True, Road.DESK),
        (Priority.LOW, True, Road.PROVIDER_BATCH),
        (Priority.LOW, False, Road.DESK),
        (Priority.LOW, None, Road.DESK),
    ],
)
def test_a_priority_has_its_road(priority: Priority, service: bool | None, road: Road) -> None:
    choice = choose(MANY, RoadFacts(batch_service=service), priority)
    assert (choice.road, choice.priority) == (road, priority)
    assert choice.reasons


@pytest.mark.parametrize(
    ("work", "road", "reason"),
    [
        (Work(1, 100, 100, waiting=True), Road.LIVE, "waiting"),
        (Work(1000, 100, 100, waiting=True), Road.DESK, "soonest"),
        (MANY, Road.PROVIDER_BATCH, "cheapest"),
        (Work(1000, 1, 1, within_seconds=3600), Road.DESK, "longer than there is time"),
        (Work(1000, 1, 1, budget_micros=600_000), Road.PROVIDER_BATCH, "more than the budget"),
        (Work(1000, 1, 1, within_seconds=3600, budget_micros=600_000), Road.DESK, "No road keeps to all"),
    ],
)
def test_without_a_priority_time_and_money_decide(work: Work, road: Road, reason: str) -> None:
    choice = choose(work, KNOWN)
    assert choice.road is road
    assert any(reason in said for said in choice.reasons)


def test_without_known_prices_time_decides() -> None:
    assert choose(MANY, RoadFacts(batch_service=True)).road is Road.DESK


costs = st.none() | st.integers(0, 10**9).map(Cost)


@given(
    work=st.builds(
        Work,
        requests=st.integers(0, 10**6),
        input_tokens=st.integers(0, 10**9),
        output_tokens=st.integers(0, 10**9),
        waiting=st.booleans(),
        within_seconds=st.none() | st.floats(0, 10**6),
        budget_micros=st.none() | st.integers(0, 10**9),
    ),
    facts=st.builds(
        RoadFacts,
        live_cost=costs,
        batch_cost=costs,
        first_token_seconds=st.none() | st.floats(0, 100),
        reply_seconds=st.none() | st.floats(0, 1000),
        requests_per_minute=st.none() | st.floats(0.1, 10**6),
        concurrency=st.integers(1, 1000),
        batch_service=st.none() | st.booleans(),
    ),
    priority=st.none() | st.sampled_from(Priority),
)
def test_the_road_that_is_chosen_is_open_and_explained(work: Work, facts: RoadFacts, priority: Priority | None) -> None:
    choice = choose(work, facts, priority)
    assert choice.offer.available
    assert choice.reasons
    assert all(offer.end_seconds[0] <= offer.end_seconds[1] for offer in choice.offers)
