"""Days begin at midnight where the person is, also where the clocks change."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holychat.money.periods import Calendar, days_of

ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Asia/Kolkata", "Australia/Lord_Howe",
    "America/Sao_Paulo", "America/Havana", "Africa/Cairo", "Asia/Beirut", "Pacific/Chatham", "Pacific/Apia",
]  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Europe/Berlin", date(2026, 7, 1), 24),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),
        ("America/Sao_Paulo", date(2018, 2, 17), 25),
        ("America/Havana", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
    ],
)
def test_a_day_is_as_long_as_the_clocks_make_it(zone: str, day: date, hours: float) -> None:
    first, past = Calendar(ZoneInfo(zone)).quarters(day, day)
    assert (past - first) / 4 == hours


@given(st.sampled_from(ZONES), st.dates(date(2012, 1, 1), date(2035, 12, 30)))
def test_days_follow_each_other_without_gap_or_overlap(zone: str, day: date) -> None:
    calendar = Calendar(ZoneInfo(zone))
    today, tomorrow = days_of(day, date.fromordinal(day.toordinal() + 1))
    first, past = calendar.quarters(today, today)
    assert past == calendar.quarters(tomorrow, tomorrow)[0]
    assert calendar.quarters(today, tomorrow) == (first, calendar.quarters(tomorrow, tomorrow)[1])


@given(st.sampled_from(ZONES), st.datetimes(datetime(2012, 1, 1), datetime(2035, 12, 30)))  # noqa: DTZ001
def test_a_moment_is_in_the_day_that_the_clock_on_the_wall_shows(zone: str, moment: datetime) -> None:
    calendar = Calendar(ZoneInfo(zone))
    now_ms = int(moment.replace(tzinfo=UTC).timestamp() * 1000)
    day = calendar.day_at(now_ms)
    first, past = calendar.quarters(day, day)
    assert first <= now_ms // 900_000 < past


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu"])
def test_the_machines_own_zone_is_the_same_as_naming_it(zone: str) -> None:
    program = (
        "from datetime import date\nfrom zoneinfo import ZoneInfo\nfrom holychat.money.periods import Calendar\n"
        f"own, named = Calendar(), Calendar(ZoneInfo({zone!r}))\n"
        "for number in range(date(2017, 1, 1).toordinal(), date(2019, 1, 1).toordinal()):\n"
        "    day = date.fromordinal(number)\n"
        "    assert own.quarters(day, day) == named.quarters(day, day), day\n"
        "    assert own.day_at(number * 86_400_000 // 400) == named.day_at(number * 86_400_000 // 400)\n"
    )
    if not any(Path(folder, zone).exists() for folder in TZPATH):
        pytest.skip("this machine has no time zones of its own")
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | {"TZ": zone})


def test_a_month_has_its_own_number_of_days() -> None:
    assert Calendar().month(date(2028, 2, 15)) == (date(2028, 2, 1), date(2028, 2, 29))
    assert Calendar().month(date(2026, 12, 31)) == (date(2026, 12, 1), date(2026, 12, 31))
    assert days_of(date(2026, 2, 28), date(2026, 3, 1)) == [date(2026, 2, 28), date(2026, 3, 1)]
    assert days_of(date(2026, 3, 1), date(2026, 2, 28)) == []
