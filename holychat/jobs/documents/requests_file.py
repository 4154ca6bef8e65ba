"""Ready-made requests out of an OpenAI batch file: one JSON object per line, with `custom_id` and `body`."""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from typing import TYPE_CHECKING, Any

from holychat.domain.jobs import Document
from holychat.errors import UsageError
from holychat.jobs.documents.names import shown_name, stored_path
from holychat.jobs.documents.problems import failure
from holychat.jobs.documents.records import json_lines
from holychat.jobs.requests import body_request
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holychat.domain.failures import Failure

ENDPOINT = "/v1/chat/completions"
_LONGEST_ID = 512


def request_documents(path: str, limit: int) -> Iterator[Document]:
    """A document per line, with its body; a line that cannot be sent comes with its failure.

    Args:
        path: The file.
        limit: Longest line, in bytes.

    Raises:
        DocumentProblem: The file cannot be read.
    """
    stored = stored_path(path)
    name = shown_name(os.path.basename(path))
    seen = SeenTexts()
    for number, line, why in json_lines(path, limit):
        custom_id = line.get("custom_id") if isinstance(line, dict) else None
        body = ""
        if why is None:
            body, why = _checked(line)
        if why is None and not seen.add(str(custom_id)):
            why = failure("DuplicateId", "Its custom_id is that of an earlier line", "Each line needs its own.")
        yield Document(
            f"{stored}##{number}",
            clean_line(custom_id, 120) if isinstance(custom_id, str) and custom_id.strip() else f"{name} line {number}",
            stored,
            custom_id[:_LONGEST_ID] if isinstance(custom_id, str) else "",
            body="" if why else body,
            size=len(body.encode("utf-8", "replace")),
            failure=why,
        )


def _checked(line: Any) -> tuple[str, Failure | None]:
    """(body as JSON, failure) of a line."""
    if not isinstance(line, dict):
        return "", failure("RequestBroken", "The line is no JSON object", 'It has "custom_id", "url" and "body".')
    custom_id, body = line.get("custom_id"), line.get("body")
    if not isinstance(custom_id, str) or not custom_id.strip():
        return "", failure("RequestBroken", "It has no custom_id", "A text that is found again beside its answer.")
    if len(custom_id) > _LONGEST_ID:
        return "", failure("RequestBroken", "Its custom_id is too long", f"At most {_LONGEST_ID} characters.")
    if str(line.get("method", "POST")).upper() != "POST":
        return "", failure("RequestBroken", "Its method is not POST", "Only chat completions can be asked for.")
    if line.get("url", ENDPOINT) != ENDPOINT:
        return "", failure("RequestBroken", f"Its url is not {ENDPOINT}", "Only chat completions can be asked for.")
    if not isinstance(body, dict):
        return "", failure("RequestBroken", "It has no body", "The body holds the model and the messages.")
    text = json.dumps(body, ensure_ascii=True, separators=(",", ":"))
    try:
        body_request(text)
    except UsageError as error:
        return text, failure("RequestBroken", error.title, error.hint)
    return text, None


class SeenTexts:
    """Tells texts that come a second time, in 16 to 32 bytes for each: a set would take ten times that."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._count = 0

    def add(self, text: str) -> bool:
        """Whether the text is new."""
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        number = int.from_bytes(digest) or 1  # 0 marks a free slot
        place = self._place(number)
        if self._slots[place] == number:
            return False
        self._slots[place] = number
        self._count += 1
        if 2 * self._count > len(self._slots):
            self._grow()
        return True

    def _place(self, number: int) -> int:
        mask = len(self._slots) - 1
        place = number & mask
        while self._slots[place] not in (0, number):
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", bytes(16 * len(old)))
        for number in old:
            if number:
                self._slots[self._place(number)] = number
