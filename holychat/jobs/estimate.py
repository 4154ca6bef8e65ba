"""What a job will take before it is sent: documents, tokens, money, time. Reads what it counts; sends nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from holychat.catalog.tokens import estimate_tokens
from holychat.domain.jobs import Document, JobSpec, Kind, Priority, SourceKind
from holychat.domain.usage import Cost, Usage
from holychat.jobs import documents, recipes, requests, split
from holychat.jobs.documents.kinds import ending
from holychat.jobs.documents.options import ReadLimits, WalkOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from holychat.domain.failures import Failure
    from holychat.jobs.documents import ChatTexts, DocumentText

SAMPLE = 50
"""Files that are read; from these on the tokens of the others follow from their sizes."""
_TOKENS_PER_BYTE = 0.25
_TOKENS_PER_BYTE_OF = {"pdf": 0.02, "docx": 0.03, "html": 0.1, "htm": 0.1, "xhtml": 0.1}
"""Before any file of that ending was read; most of these files is no text."""
NO_DOCUMENT = "There is no document to send."
"""Warning of an order with nothing in it."""
ASSUMED_PER_MINUTE = (60.0, 600.0)
"""Answers per minute of a provider that nothing is known of, slow and fast."""
_KNOWN_SPREAD = (0.5, 0.95)
"""How much of a known rate is used, at worst and at best."""
_OFFLINE = "offline"
_OFFLINE_PER_MINUTE = (600.0, 6000.0)
_SECONDS_PER_ANSWER = 3.0
"""A job of one document takes at least that long at a provider."""


class Prices(Protocol):
    """What is known of models; `catalog.prices.PriceBook` is one."""

    def cost_of(self, provider: str, model: str, usage: Usage) -> Cost | None:
        """Cost of a live request; None: unknown."""

    def batch_cost_of(self, provider: str, model: str, usage: Usage) -> Cost | None:
        """Cost through the provider's batch service; None: unknown."""

    def context_window(self, model: str, provider: str = "") -> int | None:
        """Tokens that a model reads and writes at most; None: unknown."""


@dataclass(frozen=True, slots=True)
class Known:
    """What an estimate can rest on besides the job itself and the prices."""

    options: WalkOptions = field(default_factory=WalkOptions)
    limits: ReadLimits = field(default_factory=ReadLimits)
    chat_texts: ChatTexts | None = None
    """The messages of chats."""
    assumed_context: int = 8192
    """Tokens that a model of unknown context reads and writes."""
    requests_per_minute: float | None = None
    """The rate that is known to be allowed, or was measured; None: an assumption is made."""
    concurrency: int | None = None
    """Requests at once at most, where the settings say so."""
    measure: Callable[[str], int] = estimate_tokens
    """Tokens of a text, for the model."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job will take, as far as can be told."""

    documents: int
    """That will be sent."""
    unreadable: int
    """That cannot be sent, as far as it is known."""
    input_tokens: int
    output_tokens: int
    live: Cost | None
    """None: the price is unknown. Offline it is zero."""
    batch: Cost | None
    """Through the provider's batch service; None: it has none, or the price is unknown."""
    seconds: tuple[int, int] | None
    """Fast and slow; None: there is nothing to send."""
    rate_known: bool
    """False: the time rests on an assumption."""
    sampled: int
    """Documents that were read for it."""
    parts: int = 0
    """Parts of documents that are too long for one request; they are in the tokens."""
    skipped: int = 0
    """Found and not sent: pictures, empty files, links."""
    requests: int = 0
    """All that will be sent, parts and merges included."""
    warnings: tuple[str, ...] = ()
    """For people, one line each."""


@dataclass(slots=True)
class _Tally:
    """What was counted so far."""

    spec: JobSpec
    around: int
    """Tokens of a prompt without its text."""
    room: recipes.Room
    limits: ReadLimits
    measure: Callable[[str], int]
    documents: int = 0
    unreadable: int = 0
    skipped: int = 0
    again: int = 0
    """Found once more: the job has each of them once."""
    input_tokens: int = 0
    output_tokens: int = 0
    sampled: int = 0
    parts: int = 0
    requests: int = 0
    others: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Tokens in and out of ready-made requests, by model where that is not the job's."""
    long: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    read_bytes: dict[str, int] = field(default_factory=dict)
    """By ending: bytes of the files that were read."""
    read_tokens: dict[str, int] = field(default_factory=dict)
    sizes: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    """Files that were not read, by ending and power of two of their size: how many, and their bytes."""

    def add(self, document: Document) -> None:
        """Count a document."""
        if document.skipped:
            self.skipped += 1
        elif document.failure is not None:
            self._cannot(document.failure)
        elif document.body:
            self._ready_made(document.body)
        elif document.content is not None:
            self.text(self.measure(document.content))
        elif self.sampled < SAMPLE:
            self._read(document)
        else:
            size = document.size or 0
            kind = (ending(document.name), size.bit_length())
            count, total = self.sizes.get(kind, (0, 0))
            self.sizes[kind] = (count + 1, total + size)

    def text(self, tokens: int, count: int = 1) -> None:
        """Count documents of that many tokens each."""
        self.documents += count
        recipe = self.spec.recipe
        parts = -(-tokens // self.room.text)
        if parts <= 1:
            self._requests(count, tokens, recipes.expected_answer(recipe, tokens))
            return
        self.long += count
        self.parts += parts * count
        each = -(-tokens // parts)
        answer = recipes.expected_answer(recipe, each)
        self._requests(parts * count, each, answer)
        if recipe.kind in (Kind.TRANSLATE, Kind.CLASSIFY):
            return  # put together without a model
        nodes = [split.tree(parts, split.fan_in(self.room.text, recipes.result_of_a_part(recipe, self.room)))]
        while nodes:
            node = nodes.pop()
            self._requests(count, answer * len(node.children), answer)
            nodes += [child for child in node.children if child.children]

    def rest(self) -> None:
        """Count the files that were not read, by what was seen in the others."""
        for (kind, _), (count, total) in self.sizes.items():
            self.text(round(total / count * self._tokens_per_byte(kind)), count)
        self.sizes.clear()

    def _tokens_per_byte(self, kind: str) -> float:
        if self.read_bytes.get(kind):
            return self.read_tokens[kind] / self.read_bytes[kind]
        if kind in _TOKENS_PER_BYTE_OF:
            return _TOKENS_PER_BYTE_OF[kind]
        plain = [known for known in self.read_bytes if known not in _TOKENS_PER_BYTE_OF]
        size = sum(self.read_bytes[known] for known in plain)
        return sum(self.read_tokens[known] for known in plain) / size if size else _TOKENS_PER_BYTE

    def _requests(self, count: int, text: int, answer: int) -> None:
        self.requests += count
        self.input_tokens += count * (self.around + text)
        self.output_tokens += count * answer

    def _cannot(self, why: Failure) -> None:
        self.unreadable += 1
        self.reasons[why.title] = self.reasons.get(why.title, 0) + 1

    def _ready_made(self, body: str) -> None:
        request = requests.body_request(body)
        given = sum(self.measure(message.text) + 4 for message in request.messages)
        made = min(request.max_tokens or 400, 400)
        self.documents += 1
        self.requests += 1
        self.input_tokens += given
        self.output_tokens += made
        if request.model and request.model != self.spec.model:
            before = self.others.get(request.model, (0, 0))
            self.others[request.model] = (before[0] + given, before[1] + made)

    def _read(self, document: Document) -> None:
        try:
            text: DocumentText = documents.read(document, None, self.limits)
        except documents.DocumentProblem as problem:
            self._cannot(problem.failure)
            return
        self.sampled += 1
        tokens = self.measure(text.text)
        kind = ending(document.name)
        self.read_bytes[kind] = self.read_bytes.get(kind, 0) + (document.size or 0)
        self.read_tokens[kind] = self.read_tokens.get(kind, 0) + tokens
        self.text(tokens)


def estimate(
    spec: JobSpec,
    prices: Prices,
    known: Known | None = None,
    *,
    progress: Callable[[int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Estimate:
    """What a job will take. Blocking: it lists every document and reads a sample of them.

    Args:
        spec: The job, with its model filled in.
        prices: What is known of models.
        known: What is known besides; None: nothing.
        progress: Called now and then with the number of documents so far.
        cancelled: Asked now and then; once it is true the estimate is of what was listed until then, and says so.

    Raises:
        UsageError: The recipe cannot be followed.
    """
    recipes.check(spec.recipe, offline=spec.provider == _OFFLINE)
    known = known or Known()
    window = prices.context_window(spec.model, spec.provider)
    around = sum(known.measure(part.text) + 4 for part in recipes.messages(spec.recipe, "name", "path", ""))
    room = recipes.room(spec.recipe, window or known.assumed_context, around)
    tally = _Tally(spec, around, room, known.limits, known.measure)
    listing = documents.listed(spec.sources, known.options, chat_texts=known.chat_texts)
    if len(spec.sources) > 1 or any(source.kind is SourceKind.LIST for source in spec.sources):
        listing = _each_once(tally, listing)
    whole = _count(tally, listing, progress, cancelled)
    tally.rest()
    return _told(tally, prices, known, window, whole=whole)


def _cost(price: Callable[[str, str, Usage], Cost | None], tally: _Tally) -> Cost | None:
    """What all of it costs; None: the price of one of the models is unknown."""
    given, made = (sum(tokens[place] for tokens in tally.others.values()) for place in (0, 1))
    own = (tally.input_tokens - given, tally.output_tokens - made)
    asked = tally.others if tally.others and not any(own) else tally.others | {tally.spec.model: own}
    costs = [price(tally.spec.provider, model, Usage(*tokens, estimated=True)) for model, tokens in asked.items()]
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return None
    return Cost(sum(cost.micros for cost in known), any(cost.estimated for cost in known))


def _told(tally: _Tally, prices: Prices, known: Known, window: int | None, *, whole: bool) -> Estimate:
    spec = tally.spec
    rate = known.requests_per_minute or spec.limits.requests_per_minute
    live = _cost(prices.cost_of, tally)
    warnings = _warnings(spec, tally, live, window, known.assumed_context)
    if not whole:
        warnings.append("Counting was stopped: there are more documents.")
    return Estimate(
        documents=tally.documents,
        unreadable=tally.unreadable,
        input_tokens=tally.input_tokens,
        output_tokens=tally.output_tokens,
        live=live,
        batch=_cost(prices.batch_cost_of, tally),
        seconds=_seconds(spec, tally.requests, rate, spec.limits.concurrency or known.concurrency),
        rate_known=rate is not None,
        sampled=tally.sampled,
        parts=tally.parts,
        skipped=tally.skipped,
        requests=tally.requests,
        warnings=tuple(warnings),
    )


def _each_once(tally: _Tally, listing: Iterable[Document]) -> Iterator[Document]:
    """The documents, each where it comes first, as the list of a job has them; of each a number is remembered.

    Of the sources only several of them, or a list, can lead to a document twice.
    """
    seen: set[int] = set()
    for document in listing:
        mark = hash(document.key)
        if mark not in seen:
            seen.add(mark)
            yield document
        elif not document.skipped:
            tally.again += 1


def _count(
    tally: _Tally,
    listing: Iterable[Document],
    progress: Callable[[int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> bool:
    """Count every document; False where it was stopped before the end."""
    number = 0
    for number, document in enumerate(listing, start=1):
        tally.add(document)
        if number % 100 == 0:
            if progress is not None:
                progress(number)
            if cancelled is not None and cancelled():
                return False
    if progress is not None:
        progress(number)
    return True


def _seconds(spec: JobSpec, count: int, rate: float | None, concurrency: int | None) -> tuple[int, int] | None:
    if not count:
        return None
    if spec.provider == _OFFLINE:
        slow, fast = _OFFLINE_PER_MINUTE
    elif rate is not None:
        slow, fast = (rate * part for part in _KNOWN_SPREAD)
    else:
        slow, fast = ASSUMED_PER_MINUTE
        if spec.priority is Priority.LOW:
            slow /= 2
    least = 0.0 if spec.provider == _OFFLINE else _SECONDS_PER_ANSWER * (-(-count // concurrency) if concurrency else 1)
    return (max(1, round(max(least, 60 * count / fast))), max(1, round(max(2 * least, 60 * count / slow))))


def _of_the_model(spec: JobSpec, live: Cost | None, window: int | None, assumed_context: int) -> list[str]:
    if spec.provider == _OFFLINE:
        return ["The offline provider quotes sentences of the documents; it is not a language model."]
    model = spec.model or "the model"
    warnings = []
    if live is None:
        warnings.append(f"The price of {model} at {spec.provider} is unknown: a budget cannot hold.")
    if window is None:
        warnings.append(f"The context of {model} is unknown; {assumed_context:,} tokens are assumed.")
    return warnings


def _warnings(spec: JobSpec, tally: _Tally, live: Cost | None, window: int | None, assumed_context: int) -> list[str]:
    # Of an order with nothing in it only that matters.
    warnings = _of_the_model(spec, live, window, assumed_context) if tally.documents else []
    if tally.long:
        some = "1 document is" if tally.long == 1 else f"{tally.long:,} documents are"
        warnings.append(f"{some} too long for one request and will be split into {tally.parts:,} parts.")
    warnings += [
        f"{count:,} cannot be sent: {title[0].lower()}{title[1:]}." for title, count in sorted(tally.reasons.items())
    ]
    if tally.again:
        warnings.append(f"{tally.again:,} found again and left out: each document is sent once.")
    if tally.skipped:
        warnings.append(f"{tally.skipped:,} found and left out: pictures, programs, empty files, links.")
    if unknown := recipes.unknown_placeholders(spec.recipe):
        stays = f"{unknown[0]} stays in the prompt as it is"
        if len(unknown) > 1:
            stays = f"{', '.join(unknown[:-1])} and {unknown[-1]} stay in the prompt as they are"
        warnings.append(f"{stays}; {{text}}, {{name}} and {{path}} are filled in.")
    budget = spec.limits.budget_micros
    if budget is not None and live is not None and live.micros > budget:
        warnings.append("It is likely to cost more than the budget, and would pause there.")
    if not tally.documents:
        warnings.append(NO_DOCUMENT)
    return warnings
