"""holychat: a keyboard-driven terminal chat that streams replies live and keeps every word of them.

As a library it is one class: `Gateway`, see `holychat.gateway`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holychat.domain.jobs import Priority as Priority
    from holychat.domain.tasks import Answer as Answer
    from holychat.domain.tasks import Task as Task
    from holychat.errors import JobPaused as JobPaused
    from holychat.gateway import Gateway as Gateway
    from holychat.gateway import Ticket as Ticket

__version__ = "0.2.0"

_PLACES = {
    "Answer": "holychat.domain.tasks",
    "Gateway": "holychat.gateway",
    "JobPaused": "holychat.errors",
    "Priority": "holychat.domain.jobs",
    "Task": "holychat.domain.tasks",
    "Ticket": "holychat.gateway",
}
"""Where the names of the library are; imported when they are used, because the program needs none of them to start."""


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
