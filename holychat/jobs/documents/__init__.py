"""Documents of a job: listing them lazily, and reading one when it is sent.

Everything here blocks and belongs into a thread. No document stops a job: what cannot be sent is listed with a reason.
"""

from __future__ import annotations

from holychat.jobs.documents.names import real_path, stored_path
from holychat.jobs.documents.options import ChatText, ChatTexts, DocumentText, ReadLimits, WalkOptions
from holychat.jobs.documents.problems import DocumentProblem
from holychat.jobs.documents.read import read
from holychat.jobs.documents.walk import check, listed

__all__ = [
    "ChatText",
    "ChatTexts",
    "DocumentProblem",
    "DocumentText",
    "ReadLimits",
    "WalkOptions",
    "check",
    "listed",
    "read",
    "real_path",
    "stored_path",
]
