"""From rows of the ledger to requests: reading documents, splitting long ones, putting prompts together. Blocking."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from holychat.domain.failures import Failure
from holychat.domain.jobs import Document, Kind
from holychat.domain.request import ReplyRequest
from holychat.errors import HolychatError, Outcome
from holychat.jobs import documents, recipes, requests, split
from holychat.jobs.documents import DocumentProblem, DocumentText, ReadLimits
from holychat.store import ledger_jobs, ledger_tree
from holychat.store.ledger_tree import NewPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holychat.domain.jobs import Job, Span
    from holychat.money.costs import Costs
    from holychat.settings import Settings
    from holychat.store.database import Connection
    from holychat.store.ledger_jobs import ToSend

_log = logging.getLogger(__name__)

CHUNK_BYTES = 8 * 1024 * 1024
"""Text that is taken into memory at once, unless one document alone is longer."""
_MESSAGE_BYTES = 16
"""What the chat format may add to a message, in tokens, at most."""
_MOST_TOKENS = 3
"""Of one character."""
_UNBOUNDED_ANSWER = 32_768
"""Tokens that a ready-made request without a limit is taken to get at most, where the model's window is unknown."""
_RESULTS_CUT = "Results of its parts were too long to be merged at once, and were shortened."


class Loaded(NamedTuple):
    """A row with what the database has for it."""

    row: ToSend
    content: str | None
    body: str | None
    partial: str | None
    results: list[str] | None
    """Of its parts, where it merges some; None where one of them is not done."""
    shortened: bool = False
    """Whether results were cut already to make those of its parts."""


@dataclass(slots=True)
class Ready:
    """A request that can be sent."""

    item_id: int
    is_document: bool
    request: ReplyRequest
    input_tokens: int
    """Our estimate."""
    tokens: int
    """Input and the longest answer, for the pacer."""
    worst_micros: int | None
    request_sha256: str
    sha256: str
    faults: int
    repairs: int
    note: str
    size: int
    """Characters."""
    merges: bool = False
    """Whether it puts the results of parts together."""
    batch_micros: int | None = None
    """As `worst_micros`, at the prices of the provider's batch service."""


class TooLong(NamedTuple):
    """A document that goes in parts."""

    item_id: int
    parts: list[NewPart]
    sha256: str
    is_document: bool = True
    size: int = 0


class Unusable(NamedTuple):
    """An item that cannot be sent."""

    item_id: int
    is_document: bool
    failure: Failure
    size: int = 0


class Incomplete(NamedTuple):
    """A merge that somebody made pending although a part of it is missing."""

    item_id: int
    is_document: bool
    size: int = 0


class Joined(NamedTuple):
    """A merge that needs no model: its result."""

    item_id: int
    is_document: bool
    text: str
    size: int = 0


Prepared: TypeAlias = Ready | TooLong | Unusable | Incomplete | Joined


def load(connection: Connection, job_id: int, after: tuple[int, int], count: int) -> list[Loaded]:
    """The next items of a job with their texts, `count` of them or as many as fit into memory."""
    rows = ledger_jobs.to_send(connection, job_id, after, count)
    loaded: list[Loaded] = []
    size = 0
    contents: dict[int, str | None] = {}
    for row in rows:
        results = ledger_jobs.results_of_parts(connection, row.id) if row.split else None
        content, body, partial = ledger_jobs.texts_to_send(connection, [row.id]).get(row.id, (None, None, None))
        if row.parent_id is not None and not row.split:
            # A piece of a record: the text is kept with the document. That of a file is not, which gives None here.
            root = ledger_jobs.root_of(connection, row.id)
            if root not in contents:
                contents = {root: ledger_jobs.texts_to_send(connection, [root]).get(root, (None, None, None))[0]}
            content = contents[root]
        size += len(content or "") + len(body or "") + sum(map(len, results or ()))
        if loaded and size > CHUNK_BYTES:
            break
        shortened = bool(row.split) and ledger_tree.is_noted_of_part(connection, row.id, _RESULTS_CUT)
        loaded.append(Loaded(row, content, body, partial, results, shortened))
    return loaded


class Preparer:
    """Makes the requests of one job. Used by one thread at a time."""

    def __init__(self, job: Job, settings: Settings, costs: Costs) -> None:
        spec = job.spec
        self._recipe = spec.recipe
        self._provider = spec.provider
        self._model = spec.model
        self._prices = costs.prices
        self._tokens = costs.tokens
        self._limits = ReadLimits(max_bytes=settings.jobs.max_document_bytes)
        self._window = costs.prices.context_window(spec.model, spec.provider) or settings.jobs.assumed_context
        self._last: tuple[str, DocumentText] | None = None

    def prepare(self, loaded: Sequence[Loaded]) -> Iterator[Prepared]:
        """What becomes of each row, in order."""
        for one in loaded:
            try:
                yield self._prepared(one)
            except DocumentProblem as problem:
                yield Unusable(one.row.id, one.row.parent_id is None, problem.failure)
            except HolychatError as error:
                yield Unusable(one.row.id, one.row.parent_id is None, Failure.of(error))
            except Exception as error:  # noqa: BLE001  # the item's boundary: one odd document must not stop the others
                _log.exception("item %d cannot be prepared", one.row.id)
                yield Unusable(one.row.id, one.row.parent_id is None, unexpected(error))

    def _prepared(self, one: Loaded) -> Prepared:
        row = one.row
        if self._recipe.kind is Kind.REQUESTS:
            return self._ready_made(one)
        repair = None
        if row.repairs and row.problem and one.partial is not None:
            repair = (one.partial, str(msgspec.json.decode(row.problem)["title"]).removeprefix(recipes.CANNOT_BE_USED))
        if row.split:
            if one.results is None:
                return Incomplete(row.id, row.parent_id is None)
            if (joined := recipes.merged_here(self._recipe, one.results)) is not None:
                return Joined(row.id, row.parent_id is None, joined)
            results, shortened = self._fitting(row, one.results)
            note = _RESULTS_CUT if shortened or one.shortened else ""
            return self._ready(row, "", "", merge=results, repair=repair, note=note)
        text = self._text(one)
        if row.span_start is not None and row.span_end is not None:
            piece = text.text[row.span_start : row.span_end]
            return self._ready(row, piece, text.sha256, part=(row.part + 1, row.siblings), repair=repair)
        parts = self._parts(row, text)
        if parts:
            return TooLong(row.id, parts, text.sha256, size=0)
        return self._ready(row, text.text, text.sha256, note=text.note, repair=repair)

    def _text(self, one: Loaded) -> DocumentText:
        row = one.row
        document = Document(row.key, row.name, row.path, row.custom_id, one.content, "", row.size, row.mtime_ns)
        if row.parent_id is None:
            self._last = None
            return documents.read(document, one.content, self._limits)
        # The parts of a document follow each other; its text is taken out of its file once.
        key = f"{row.ordinal}:{row.path}"
        if self._last is None or self._last[0] != key:
            self._last = (key, documents.read(document, one.content, self._limits))
        return self._last[1]

    def _parts(self, row: ToSend, text: DocumentText) -> list[NewPart]:
        fits = self._room(row)
        # What has so few characters fits in any script, and most documents do.
        if _MOST_TOKENS * len(text.text) <= fits.text or self._tokens.text(text.text, self._model) <= fits.text:
            return []
        spans = split.plan(text.text, fits.text, lambda piece: self._tokens.text(piece, self._model))
        if len(spans) < 2:
            return []
        fan_in = split.fan_in(fits.text, recipes.result_of_a_part(self._recipe, fits))
        return list(_nodes(split.tree(len(spans), fan_in), (), spans))

    def _fitting(self, row: ToSend, results: Sequence[str]) -> tuple[Sequence[str], bool]:
        """Results of parts that fit into one request together, and whether some had to be cut for it."""
        if self._recipe.kind is not Kind.SUMMARIZE:
            return results, False
        sizes = [self._tokens.text(result, self._model) for result in results]
        left = self._room(row).text
        if sum(sizes) <= left:
            return results, False
        share = 0.0
        for place, size in enumerate(sorted(sizes)):  # what short ones leave is for the longer ones
            share = left / (len(sizes) - place)
            if size > share:
                break
            left -= size
        cut = [
            result if size <= share else f"{result[: int(len(result) * share / size)].rstrip()} …"
            for result, size in zip(results, sizes, strict=True)
        ]
        return cut, True

    def _room(self, row: ToSend) -> recipes.Room:
        around = self._tokens.prompt(recipes.messages(self._recipe, row.name, row.path, ""), self._model)
        return recipes.room(self._recipe, self._window, around)

    def _ready(
        self,
        row: ToSend,
        text: str,
        sha256: str,
        *,
        note: str = "",
        part: tuple[int, int] | None = None,
        merge: Sequence[str] | None = None,
        repair: tuple[str, str] | None = None,
    ) -> Ready:
        messages = recipes.messages(self._recipe, row.name, row.path, text, part=part, merge=merge, repair=repair)
        answer = recipes.answer_limit(self._recipe, self._window)
        request = ReplyRequest(self._model, messages, self._recipe.temperature, answer)
        return self._finished(row, request, sha256 or row.sha256, note)

    def _ready_made(self, one: Loaded) -> Ready:
        request = requests.body_request(one.body or "{}")
        if not request.model:
            request = replace(request, model=self._model)
        return self._finished(one.row, request, "", "")

    def _finished(self, row: ToSend, request: ReplyRequest, sha256: str, note: str) -> Ready:
        size = sum(len(message.text) for message in request.messages)
        estimated = self._tokens.prompt(request.messages, request.model)
        # No tokenizer makes more tokens than bytes: with this, a budget holds whatever the text is.
        most = sum(len(message.text.encode("utf-8", "replace")) + _MESSAGE_BYTES for message in request.messages)
        answer = request.max_tokens
        if answer is None:
            answer = self._prices.longest_answer(request.model, self._provider) or _UNBOUNDED_ANSWER
        return Ready(
            item_id=row.id,
            is_document=row.parent_id is None,
            request=request,
            input_tokens=estimated,
            tokens=estimated + (request.max_tokens or 0),
            worst_micros=self._prices.worst_cost(self._provider, request.model, most, answer),
            request_sha256=self._fingerprint(request),
            sha256=sha256,
            faults=row.faults,
            repairs=row.repairs,
            note=note,
            size=size,
            merges=bool(row.split),
            batch_micros=self._prices.batch_worst_cost(self._provider, request.model, most, answer),
        )

    def _fingerprint(self, request: ReplyRequest) -> str:
        return hashlib.sha256(self._provider.encode() + b"\0" + msgspec.json.encode(request)).hexdigest()


def unexpected(error: Exception) -> Failure:
    """A fault of holychat itself; its text is in the log alone, because it may quote anything."""
    return Failure(
        "Unexpected",
        f"Something went wrong inside holychat ({type(error).__name__})",
        "The log has the details.",
        outcome=Outcome.NEVER_SENT.value,
    )


def _nodes(node: split.TreeNode, path: tuple[int, ...], spans: Sequence[Span]) -> Iterator[NewPart]:
    """The nodes below `node`, parents first."""
    for place, child in enumerate(node.children):
        here = (*path, place)
        if child.children:
            yield NewPart(here, child.level, len(child.children))
            yield from _nodes(child, here, spans)
        else:
            span = spans[child.first]
            yield NewPart(here, 0, 0, span.start, span.end)
