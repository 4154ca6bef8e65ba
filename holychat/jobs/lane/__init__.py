"""How fast requests may go to one provider with one key and one model."""

from holychat.jobs.lane.control import LaneState
from holychat.jobs.lane.lane import Lane, Slot

__all__ = ["Lane", "LaneState", "Slot"]
