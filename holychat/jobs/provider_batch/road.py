"""Gathers the requests of one job for batches at its provider."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from holychat.domain.jobs import PauseReason
from holychat.errors import CredentialError, HolychatError, Outcome, OutOfCredit, ProviderError
from holychat.jobs.provider_batch.gathering import Gathering

if TYPE_CHECKING:
    from collections.abc import Callable

    from holychat.jobs.preparing import Ready
    from holychat.jobs.provider_batch.desk import ProviderBatches
    from holychat.jobs.run import JobRun
    from holychat.providers.batch_service import BatchService

_log = logging.getLogger(__name__)

_MOST_QUESTIONS = 4
"""How often a provider is asked in vain whether it has a batch service, before the job goes without it."""


class BatchRoad:
    """One job on its way into batches. Belongs to one event loop.

    Args:
        desk: Owns it.
        run: The job.
        service: The provider's.
        is_dry: Whether nothing more can be ready before something comes back.
    """

    def __init__(self, desk: ProviderBatches, run: JobRun, service: BatchService, is_dry: Callable[[], bool]) -> None:
        self.run_ = run
        self._desk = desk
        self._service = service
        self._is_dry = is_dry
        self._gatherings: dict[str, Gathering] = {}
        self._work = asyncio.Event()
        self._work.set()
        self.gathered = 0
        """Requests that wait for company."""

    def changed(self) -> None:
        """There may be something to gather, or room for more."""
        self._work.set()

    async def work(self) -> None:
        """Gather until cancelled."""
        if not await self._is_offered():
            self.run_.by_batch = False
            self.run_.changed()
            return
        while True:
            await self._work.wait()
            self._work.clear()
            if (pause := self._desk.capacity.held(self.run_.lane)) > 0:
                asyncio.get_running_loop().call_later(pause, self._work.set)
                continue
            try:
                await self._turn()
            except OSError as error:
                self._desk.pause(self.run_, PauseReason.STORE, no_file(error))

    def drop(self) -> None:
        """Hand nothing over: what was gathered waits in the database."""
        for gathering in self._gatherings.values():
            self._desk.put_back(self.run_, gathering)
        self._gatherings.clear()
        self.gathered = 0

    async def _is_offered(self) -> bool:
        pause = self._desk.bounds.poll_seconds / 4
        for _ in range(_MOST_QUESTIONS):
            try:
                return await self._desk.is_offered(self.run_.lane[0], self._service)
            except HolychatError as error:
                if reason := pause_reason(error):
                    self._desk.pause(self.run_, reason, f"{error.title}. {error.hint}".strip())
                    return True
                _log.info("Whether there is a batch service is not known: %s", error.title)
            await asyncio.sleep(pause)
            pause *= 2
        return False

    async def _turn(self) -> None:
        """Take what is ready; hand over what is full, and the rest when nothing more comes."""
        run = self.run_
        while (item := self._next()) is not None:
            gathering = self._gatherings.get(item.request.model)
            if gathering is None:
                gathering = Gathering(self._desk.files, item.request.model, self._desk.bounds)
                self._gatherings[gathering.model] = gathering
            line = self._service.line(gathering.custom_id(item.item_id), item.request)
            if not gathering.fits(line) or not self._has_room(item):
                if not gathering.rows and not self._others():
                    return  # the provider has too much already; the end of a batch makes room
                await self._hand_over()
                continue
            worst = run.worst_of(item)
            run.take()
            run.in_flight -= 1
            run.away += 1
            self.gathered += 1
            gathering.add(line, item, worst, run.own_model(item))
            await gathering.flush()
        if self.gathered and run.active and self._nothing_more():
            await self._hand_over()

    def _next(self) -> Ready | None:
        item = self.run_.next()
        return None if item is None or self.run_.goes_live(item) else item

    def _nothing_more(self) -> bool:
        return bool(self.run_.ready) or self._is_dry()

    def _has_room(self, item: Ready) -> bool:
        """Whether its tokens may wait at the provider besides all others; a single one always may try."""
        waiting = sum(gathering.tokens for gathering in self._gatherings.values())
        room = self._desk.capacity.room(self.run_.lane)
        return (
            room is None
            or waiting + item.input_tokens <= room
            or not (waiting or self._desk.capacity.waiting(self.run_.lane))
        )

    def _others(self) -> bool:
        return any(gathering.rows for gathering in self._gatherings.values())

    async def _hand_over(self) -> None:
        gatherings, self._gatherings = list(self._gatherings.values()), {}
        self.gathered = 0
        for gathering in gatherings:
            # Once begun it goes on, whatever becomes of this road: the database follows each step of it.
            await asyncio.shield(self._desk.hand_over(self.run_, gathering, self._service))


def no_file(error: OSError) -> str:
    """Why a job is paused whose requests cannot be kept."""
    return f"The requests for a batch cannot be written: {error.strerror or error}. Make room, then resume."


def pause_reason(error: HolychatError) -> PauseReason | None:
    """Why a job has to wait for a person, or for the network, after this error; None: it need not."""
    if isinstance(error, OutOfCredit):
        return PauseReason.QUOTA
    if isinstance(error, CredentialError) or (isinstance(error, ProviderError) and error.outcome is Outcome.AUTH):
        return PauseReason.KEY
    if isinstance(error, ProviderError) and error.outcome is Outcome.NEVER_SENT:
        return PauseReason.OFFLINE
    return None
