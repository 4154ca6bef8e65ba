"""From lines of answer files to entries of the ledger.

Nothing is remembered of how far reading has come: an item that is not in the provider's hands any more is passed over,
so both files can be read again from their start, in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from holychat.domain.failures import Failure
from holychat.domain.jobs import ENDED_JOBS, Kind
from holychat.domain.request import RawReply
from holychat.errors import KeyRejected, Outcome, OutOfCredit, RequestRefused
from holychat.jobs.answers import read_answer
from holychat.store.ledger_entries import Back, Done, Doubt, Entries, Failed, Received, Repair

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holychat.domain.batches import Submission
    from holychat.domain.jobs import Job
    from holychat.errors import ProviderError
    from holychat.money.costs import Costs
    from holychat.providers.base import Provider
    from holychat.providers.batch_lines import AnswerLine
    from holychat.providers.batch_service import BatchService
    from holychat.store.submissions import UnderWay

_MOST_FAULTS = 2
"""How often a request goes into another batch after the provider failed at it."""
_NOT_DONE = ("batch_expired", "batch_cancelled")
MISSING = Failure(
    "LineMissing",
    "The provider's batch has ended and says nothing of this request; it may have been done and billed",
    "Send it again at the risk of paying twice, or skip it.",
    outcome=Outcome.AMBIGUOUS.value,
)


class Fate(NamedTuple):
    """What becomes of an item, for the job at work to know."""

    item_id: int
    worst_micros: int | None
    ended: bool
    """Whether nothing more happens to it by itself."""
    billed: bool
    cost_micros: int | None = None
    """Of what was billed; None: unknown."""


class Fates:
    """Entries for one transaction, and what they mean."""

    def __init__(self) -> None:
        self.entries = Entries()
        self.all: list[Fate] = []
        self.lack: ProviderError | None = None
        """A line says that the key or the credit is the trouble."""

    def back(
        self,
        item: UnderWay,
        job_id: int,
        outcome: Outcome,
        failure: Failure | None = None,
        *,
        refusals: int = 0,
        faults: int = 0,
    ) -> None:
        """It was not done and not billed: it goes again."""
        entry = Back(item.item_id, item.attempt_id, job_id, outcome.value, failure, refusals, faults)
        self.entries.back.append(entry)
        self.all.append(Fate(item.item_id, item.worst_micros, ended=False, billed=False))

    def failed(self, item: UnderWay, job_id: int, failure: Failure, outcome: Outcome = Outcome.FATAL) -> None:
        """It cannot be done, and was not billed."""
        self.entries.failed.append(Failed(item.item_id, job_id, failure, item.attempt_id, outcome.value))
        self.all.append(Fate(item.item_id, item.worst_micros, ended=True, billed=False))

    def doubt(self, item: UnderWay, job_id: int, failure: Failure, *, again: bool) -> None:
        """Nobody knows what became of it."""
        self.entries.doubt.append(Doubt(item.item_id, item.attempt_id, job_id, failure, again=again))
        self.all.append(Fate(item.item_id, item.worst_micros, ended=not again, billed=True))


class Reader:
    """Reads the answers to one batch. Blocking; `fates` is called in threads, one at a time.

    Args:
        submission: The batch.
        job: Whose items they are.
        provider: Reads replies.
        service: Reads lines.
        costs: Prices.
    """

    def __init__(
        self, submission: Submission, job: Job, provider: Provider, service: BatchService, costs: Costs
    ) -> None:
        self._submission = submission
        self._prefix = f"{submission.token}-"
        self._job = job
        self._provider = provider
        self._service = service
        self._costs = costs
        self._elapsed = max(0, (submission.ended_ms or submission.created_ms) - submission.created_ms)

    def lines(self, raw: Iterable[bytes]) -> dict[int, AnswerLine]:
        """Lines by item; foreign ones are left out, of several about one item the first one counts."""
        found: dict[int, AnswerLine] = {}
        for line in self._service.answers(raw):
            number = line.custom_id.removeprefix(self._prefix)
            if line.custom_id.startswith(self._prefix) and number.isascii() and number.isdecimal():
                found.setdefault(int(number), line)
        return found

    def fates(self, lines: Mapping[int, AnswerLine], under_way: Sequence[UnderWay]) -> Fates:
        """What these lines mean for items that are still in the provider's hands."""
        fates = Fates()
        for item in under_way:
            line = lines[item.item_id]
            if line.error is None:
                self._read(fates, item, line)
            else:
                self._not_done(fates, item, line, line.error)
        return fates

    def _read(self, fates: Fates, item: UnderWay, line: AnswerLine) -> None:
        raw = RawReply(line.status, line.body, line.request_id)
        answer = read_answer(
            self._job,
            item.item_id,
            item.attempt_id,
            self._provider,
            raw,
            self._costs,
            input_tokens=None,
            worst_micros=item.worst_micros,
            note=item.note,
            model=item.model,
            may_repair=self._may_repair(item),
            batch=True,
        )
        entries = fates.entries
        entries.received.append(
            Received(item.item_id, item.attempt_id, raw.body, raw.status, raw.request_id, self._elapsed)
        )
        if isinstance(answer, Done):
            entries.done.append(answer)
        elif isinstance(answer, Repair):
            entries.repair.append(answer)
        else:
            entries.failed.append(answer)
        bill = answer.bill
        cost = None if bill is None else bill.cost_micros
        ended = not isinstance(answer, Repair)
        fates.all.append(Fate(item.item_id, item.worst_micros, ended=ended, billed=True, cost_micros=cost))

    def _may_repair(self, item: UnderWay) -> bool:
        return self._job.spec.recipe.kind is Kind.EXTRACT and not item.repairs and self._job.state not in ENDED_JOBS

    def _not_done(self, fates: Fates, item: UnderWay, line: AnswerLine, error: ProviderError) -> None:
        failure, job_id = Failure.of(error), self._job.id
        if line.code in _NOT_DONE or line.status == 429:
            fates.back(item, job_id, Outcome.REFUSED, failure, refusals=1)
        elif isinstance(error, KeyRejected | OutOfCredit):
            fates.lack = error
            fates.back(item, job_id, Outcome.AUTH, failure)
        elif isinstance(error, RequestRefused):
            if item.faults < _MOST_FAULTS and self._service.learn(self._submission.model, error.title):
                fates.back(item, job_id, Outcome.SERVER_FAULT, failure, faults=1)
            else:
                fates.failed(item, job_id, failure)
        elif item.faults < _MOST_FAULTS:
            fates.back(item, job_id, Outcome.SERVER_FAULT, failure, faults=1)
        else:
            fates.failed(item, job_id, failure, Outcome.SERVER_FAULT)
