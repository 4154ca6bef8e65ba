"""What becomes of a request, written into the ledger, and what that means for its job in hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from holychat.domain.jobs import Kind
from holychat.domain.usage import Usage
from holychat.jobs.answers import read_answer
from holychat.store.ledger_entries import Back, Doubt, Failed, Received, Repair

if TYPE_CHECKING:
    from holychat.domain.failures import Failure
    from holychat.domain.request import RawReply
    from holychat.errors import Outcome
    from holychat.jobs.ledger_writer import LedgerWriter
    from holychat.jobs.preparing import Ready
    from holychat.jobs.run import JobRun
    from holychat.money.costs import Costs
    from holychat.providers.base import Provider


class Fates:
    """Every way in which a request ends. Belongs to one event loop.

    Args:
        provider: Reads answers.
        writer: Writes the ledger.
        costs: Prices and token estimates.
    """

    def __init__(self, provider: Provider, writer: LedgerWriter, costs: Costs) -> None:
        self._provider = provider
        self._writer = writer
        self._costs = costs

    def never_mind(self, run: JobRun, item: Ready, *, again: bool) -> None:
        """It was not sent, and nothing says it was."""
        run.budget.release(item.worst_micros)
        run.in_flight -= 1
        if again:
            run.put_back(item)
        else:
            run.forget(item.item_id, ended=True)

    def received(self, run: JobRun, item: Ready, attempt_id: int, raw: RawReply, elapsed_ms: int) -> None:
        """An answer came. It is read when it is safe."""
        run.landed()
        entry = Received(item.item_id, attempt_id, raw.body, raw.status, raw.request_id, elapsed_ms)

        def kept(moved: bool) -> None:
            if moved:
                self._read(run, item, attempt_id, raw)
            else:
                run.budget.settle(item.worst_micros, None)
                run.settled(item.item_id, ended=True)

        self._writer.keep(entry, kept)

    def _read(self, run: JobRun, item: Ready, attempt_id: int, raw: RawReply) -> None:
        """The answer is safe; now look at it."""
        answer = read_answer(
            run.job,
            item.item_id,
            attempt_id,
            self._provider,
            raw,
            self._costs,
            input_tokens=item.input_tokens,
            worst_micros=item.worst_micros,
            note=item.note,
            model=item.request.model,
            may_repair=run.job.spec.recipe.kind is Kind.EXTRACT and item.repairs == 0 and run.active,
        )
        bill = answer.bill
        run.budget.settle(item.worst_micros, None if bill is None else bill.cost_micros)
        if bill is not None and not bill.tokens_estimated and self._writer.wants_sample:
            asked, reported = item.request, Usage(bill.input_tokens)
            sample = self._costs.accounting.sample(run.job.spec.provider, asked.model, reported, asked.messages)
            self._writer.learn(sample)
        repaired = isinstance(answer, Repair)

        def written(_: bool) -> None:
            run.settled(item.item_id, ended=not repaired)
            if repaired:
                run.again()
            else:
                run.pace.answered(asyncio.get_running_loop().time())

        self._writer.keep(answer, written)

    def doubt(self, run: JobRun, item: Ready, attempt_id: int, failure: Failure, partial: str | None = None) -> None:
        """Nobody knows what became of it."""
        again = run.allows_doubt(item.worst_micros)
        run.landed()
        run.budget.doubt(item.worst_micros)

        def written(moved: bool) -> None:
            run.settled(item.item_id, ended=not (again and moved))
            if again and moved:
                run.put_back(item)

        self._writer.keep(Doubt(item.item_id, attempt_id, run.id, failure, partial, again), written)

    def fail(self, run: JobRun, item: Ready, attempt_id: int, outcome: Outcome, failure: Failure) -> None:
        """It cannot be done."""
        run.landed()
        run.budget.release(item.worst_micros)
        self._writer.keep(
            Failed(item.item_id, run.id, failure, attempt_id, outcome.value),
            lambda _: run.settled(item.item_id, ended=True),
        )

    def back(
        self,
        run: JobRun,
        item: Ready,
        attempt_id: int,
        outcome: Outcome,
        failure: Failure | None = None,
        *,
        refusals: int = 0,
        faults: int = 0,
        pause: float = 0.0,
    ) -> None:
        """It was not done and not billed: it goes again, after a pause of so many seconds."""
        run.landed()
        run.budget.release(item.worst_micros)

        def written(moved: bool) -> None:
            if not moved:
                run.settled(item.item_id, ended=True)
            elif pause:
                asyncio.get_running_loop().call_later(pause, again)
            else:
                again()

        def again() -> None:
            run.settled(item.item_id, ended=False)
            run.put_back(item)

        entry = Back(item.item_id, attempt_id, run.id, outcome.value, failure, refusals, faults)
        self._writer.keep(entry, written)
