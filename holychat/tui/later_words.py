"""What people are told of questions that were asked for later. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.domain.jobs import OPEN_ITEMS, PauseReason
from holychat.domain.roads import Road
from holychat.tui.job_words import duration, pause_words
from holychat.tui.road_words import reasons_of

if TYPE_CHECKING:
    from holychat.chat.later import Asked
    from holychat.domain.chat import Later

_NOW = "Alt+↑ then r asks now."


def waiting_words(later: Later) -> str:
    """The line at a question whose answer is still to come; "" where it is there."""
    if later.answered:
        return ""
    job = f"job {later.job_id}"
    if later.state is None:
        return f"asked for later: {job}, which was deleted. {_NOW}"
    if later.state not in OPEN_ITEMS:
        return f"asked for later: {job}, {later.state.value.replace('_', ' ')}. {_NOW}"
    if later.pause:
        return f"asked for later: {job}, paused: {pause_words(PauseReason(later.pause))}"
    return f"asked for later: {job}, {road_words(later.road, later.seconds)}"


def road_words(road: Road, seconds: float | None) -> str:
    """Where a question waits, and about how long."""
    if road is Road.PROVIDER_BATCH:
        where = "in the provider's batch"
        return where if seconds is None else f"{where}, within {duration(seconds)}"
    return "on the desk" if seconds is None else f"on the desk, about {about_words(seconds)}"


def about_words(seconds: float) -> str:
    """A time span to which nobody should set a clock."""
    if seconds < 50:
        return f"{max(5, round(seconds / 5) * 5)} seconds"
    if seconds < 90:
        return "a minute"
    return f"{seconds / 60:.0f} minutes" if seconds < 5_400 else duration(seconds)


def asked_words(asked: Asked) -> str:
    """The notice when a question was asked for later: which job, and which road for which reason."""
    return f"Job {asked.job_id} answers this here. {reasons_of(asked.choice)[-1]}"
