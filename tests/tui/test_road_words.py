"""The road that is taken, in one line."""

from __future__ import annotations

import pytest

from holychat.domain.jobs import Priority
from holychat.domain.roads import RoadFacts, Work, choose
from holychat.tui.road_words import taken_words

MANY = Work(1000, 1000, 1000)


@pytest.mark.parametrize("service", [True, False])
@pytest.mark.parametrize("priority", [*Priority, None])
def test_the_line_names_the_road_and_says_nothing_twice(priority: Priority | None, service: bool) -> None:
    choice = choose(MANY, RoadFacts(batch_service=service), priority)
    line = taken_words(choice)
    assert line.lower().count(choice.road.words) == 1, line
    assert line.lower().count("priority") == (priority is not None), line
    assert line.count(":") <= 1, line
