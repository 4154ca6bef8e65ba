"""Jobs and their items: what they are.

A job is many requests that belong together; an item is one of them, most often one document. An item that was sent has
an attempt, written down before the first byte left. Which state may follow which is told in `job_moves`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from holychat.domain.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holychat.domain.failures import Failure
    from holychat.domain.usage import Cost


class JobState(StrEnum):
    """Where a job stands."""

    DRAFT = "draft"
    """Written down, not confirmed: nothing was sent."""
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    """Nothing new is sent; `PauseReason` tells why. What was under way is finished."""
    FINISHING = "finishing"
    """Every item has ended; the output file is being written."""
    FINISHED = "finished"
    FINISHED_WITH_ERRORS = "finished_with_errors"
    """Ended, and some items failed or are in doubt."""
    CANCELLED = "cancelled"


class PauseReason(StrEnum):
    """Why a job is paused."""

    USER = "user"
    BUDGET = "budget"
    """The next request could cost more than what is left."""
    KEY = "key"
    """No key, or the provider does not accept it."""
    QUOTA = "quota"
    """Out of credit, or a quota that comes back much later."""
    OFFLINE = "offline"
    """The provider cannot be reached."""
    TRIAL = "trial"
    """The trial run is done: somebody looks at its results before the rest is sent."""
    STORE = "store"
    """What was done could not be written down (a full disk), so nothing more is sent."""


class ItemState(StrEnum):
    """Where an item stands."""

    PENDING = "pending"
    SENDING = "sending"
    """Its attempt was written down; the request may have left and may have been billed."""
    RECEIVED = "received"
    """The raw reply is kept; nothing has read it yet."""
    DONE = "done"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    """It was sent and nobody knows what became of it: never sent again without the person's word."""
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class Priority(StrEnum):
    """How soon an answer is wanted; the same three words everywhere."""

    HIGH = "high"
    """Now: somebody is waiting."""
    MEDIUM = "medium"
    """Minutes: as fast as the provider allows besides live chat."""
    LOW = "low"
    """Hours: whatever is cheapest."""


class Kind(StrEnum):
    """What is done with each document."""

    SUMMARIZE = "summarize"
    TRANSLATE = "translate"
    CLASSIFY = "classify"
    EXTRACT = "extract"
    PROMPT = "prompt"
    REQUESTS = "requests"


class SourceKind(StrEnum):
    """Where documents come from."""

    PATH = "path"
    """A file or a folder."""
    GLOB = "glob"
    LIST = "list"
    """A file that names one path per line."""
    CSV = "csv"
    JSONL = "jsonl"
    REQUESTS = "requests"
    """An OpenAI batch file: custom_id and body per line."""
    CHAT = "chat"
    """The messages of a chat, by its number."""


ENDED_JOBS = frozenset({JobState.FINISHED, JobState.FINISHED_WITH_ERRORS, JobState.CANCELLED})
AT_WORK = frozenset({JobState.RUNNING, JobState.FINISHING})
ACTIVE_JOBS = AT_WORK | {JobState.QUEUED}
"""Jobs that a worker has something to do for; a paused one may still have requests under way."""
OPEN_ITEMS = frozenset({ItemState.PENDING, ItemState.SENDING, ItemState.RECEIVED})


@dataclass(frozen=True, slots=True)
class Source:
    """One place that documents come from."""

    kind: SourceKind
    value: str
    """A path as the person gave it made absolute, a glob, or the number of a chat."""
    column: str = ""
    """Which column of a CSV file or field of a JSONL file holds the text; empty: the usual names are tried."""
    hidden: bool = False
    ignored: bool = False
    """Whether a walk also takes hidden files and folders, and what a .gitignore leaves out."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done with each document. Fields that a kind does not use are empty."""

    kind: Kind
    length: str = ""
    """Summarize: "short", "medium", "long", or words such as "5 sentences"."""
    language: str = ""
    """Summarize and translate: the language of the answer; empty: that of the document."""
    labels: tuple[str, ...] = ()
    """Classify: what to choose from."""
    schema: str = ""
    """Extract: a JSON schema, as text."""
    prompt: str = ""
    """Prompt: with {text}, {name} and {path}; the other kinds: a further wish."""
    system: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    """Longest answer per request; None: what suits the kind."""


@dataclass(frozen=True, slots=True)
class JobLimits:
    """What a job may take."""

    budget_micros: int | None = None
    """Micro-dollars; None: no limit."""
    concurrency: int | None = None
    """Requests at once at most; None: found out while running."""
    batch_size: int | None = None
    """Items per batch: the next batch begins when this one has ended; None: no batches."""
    requests_per_minute: float | None = None
    """Rate that the person knows to be allowed; None: taken from the provider's headers or found out."""
    doubt_retries: int = 0
    """How many items in doubt may be sent again without asking."""
    doubt_micros: int | None = None
    """What these may cost at worst; None: whatever the budget allows."""
    trial: int | None = None
    """Items to send before the job pauses to be looked at; None: all of them."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job as somebody orders it."""

    name: str
    recipe: Recipe
    sources: tuple[Source, ...]
    provider: str
    model: str = ""
    """Empty: the provider's default model, looked up when the job is made."""
    priority: Priority = Priority.MEDIUM
    limits: JobLimits = JobLimits()
    out: str = ""
    """File or folder that the worker writes the results to at the end; empty: none."""
    out_format: str = ""
    """"jsonl", "csv", "markdown" or "files"; empty: by the ending of `out`."""
    callback_url: str = ""
    chat_id: int | None = None
    """The chat that the answers belong to."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many items are in which state. Parts of long documents are counted apart from the documents."""

    documents: Mapping[ItemState, int] = field(default_factory=dict)
    parts: Mapping[ItemState, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All documents that were listed so far."""
        return sum(self.documents.values())

    @property
    def ended(self) -> int:
        """Documents that nothing more happens to by itself."""
        return sum(count for state, count in self.documents.items() if state not in OPEN_ITEMS)

    def of(self, state: ItemState) -> int:
        """Documents in a state."""
        return self.documents.get(state, 0)


@dataclass(frozen=True, slots=True)
class Money:
    """What a job costs, in micro-dollars."""

    spent: int = 0
    estimated: bool = False
    """Some of it was estimated, because the provider did not report its tokens."""
    unknown: int = 0
    """Answers whose price is not known, and so not in `spent`."""
    reserved: int = 0
    """Worst case of what is under way."""
    in_doubt: int = 0
    """Worst case of what may have been billed and is not known."""
    projected: int | None = None
    """What the whole job will have cost by the look of it; None: too early, or the price is unknown."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How fast a job is, as its worker last said."""

    in_flight: int = 0
    rate_per_minute: float | None = None
    """Answers per minute, over the last minute or so."""
    eta_ms: tuple[int, int] | None = None
    """Unix time in milliseconds between which it will end, early and late."""
    waiting_until_ms: int | None = None
    """Nothing is sent before; `waiting_for` says in words why."""
    waiting_for: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A job, without its items."""

    id: int
    spec: JobSpec
    state: JobState
    created_ms: int
    started_ms: int | None = None
    ended_ms: int | None = None
    worked_ms: int = 0
    """How long it was at work until its state changed last: without pauses, and tries again apart."""
    pause: PauseReason | None = None
    pause_detail: str = ""
    listed: bool = False
    """Every document is listed: `counts.total` grows no more."""
    note: str = ""
    """What a person should know: a folder that could not be read, an output file that could not be written."""
    counts: Counts = field(default_factory=Counts)
    money: Money = Money()
    progress: Progress = Progress()
    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    """Requests that were answered."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a document's text: characters from `start` up to `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was listed and not read yet, or that cannot be; its size is in bytes."""

    key: str
    """What it is, unique within its job: a path, or a file and a line. Listing the same again adds nothing."""
    name: str
    """For people and for {name}."""
    path: str = ""
    custom_id: str = ""
    """Of an OpenAI batch file or a CSV/JSONL `id`; empty: the item's number stands in."""
    content: str | None = None
    """The text itself, for records of a file and messages of a chat; None: it is read from `path` when it is sent."""
    body: str = ""
    """The request body as JSON, for ready-made requests."""
    size: int | None = None
    mtime_ns: int | None = None
    failure: Failure | None = None
    """Why it can never be sent; it is listed as failed."""
    skipped: str = ""
    """Why it is listed as skipped: a picture or an empty file that was found, not named."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a job, as stored, without its texts."""

    id: int
    job_id: int
    ordinal: int
    """Place in the input, from 0; the parts of a document have that of the document."""
    state: ItemState
    document: Document
    """Without `content` and `body`, which are read when they are needed."""
    parent_id: int | None = None
    """The item this is a part of; None for a document."""
    level: int = 0
    """0 for a piece of the text, 1 and more for what merges pieces; a document that was not split has 0 as well."""
    part: int = 0
    """Place among the parts of the same parent, from 0."""
    span: Span | None = None
    waiting_for: int = 0
    """Parts that must be done first."""
    sha256: str = ""
    """Of the text as it was first read; "" before."""
    attempts: int = 0
    """Requests that were sent, refusals left out."""
    refusals: int = 0
    faults: int = 0
    """Server faults since it was last made pending by a person."""
    repairs: int = 0
    reserved_micros: int = 0
    usage: Usage = Usage()
    cost: Cost | None = None
    """Like usage over all attempts; None: nothing was answered, or the price is unknown."""
    model: str = ""
    finish_reason: str = ""
    request_id: str = ""
    elapsed_ms: int | None = None
    failure: Failure | None = None
    note: str = ""
    updated_ms: int = 0


@dataclass(frozen=True, slots=True)
class Template:
    """A recipe with a name."""

    name: str
    recipe: Recipe
    provider: str = ""
    model: str = ""
    built_in: bool = False
