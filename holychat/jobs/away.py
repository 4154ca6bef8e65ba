"""Work that is done elsewhere: batches at providers, and files for other engines."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.domain.batches import OPEN_SUBMISSIONS
from holychat.errors import UsageError
from holychat.jobs.own_templates import JobTemplates
from holychat.store import submissions

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from holychat.domain.batches import RemoteBatch, RemoteFile, Submission
    from holychat.domain.jobs import Job
    from holychat.jobs.carrying import Imported
    from holychat.providers.batch_service import BatchService
    from holychat.providers.registry import ProviderRegistry

_OLD_S = 86_400
"""Age from which a file without a batch is taken to be a leftover: a batch of it would have been created long ago."""


@dataclass(frozen=True, slots=True)
class KnownBatch:
    """A batch at a provider, and whose it is."""

    batch: RemoteBatch
    job_id: int | None
    """Of this history; None: somebody else's, or the job was deleted."""


class JobsAway(JobTemplates):
    """What can be done with work that is done elsewhere."""

    _registry: ProviderRegistry

    async def submissions(self, job_id: int) -> builtins.list[Submission]:
        """The batches of a job at its provider, oldest first."""
        return await self._database.read(lambda c: submissions.of_job(c, job_id))

    # Files for other engines

    async def hold(self, job_id: int) -> Job:
        """Let a draft be a job of which nothing is sent before it is resumed.

        Raises:
            UsageError: There is no such draft.
        """
        from holychat.jobs import carrying

        return await self._database.write(lambda c: carrying.hold(c, job_id, _now_ms()))

    def request_lines(self, job_id: int) -> Iterator[bytes]:
        """The requests of a paused job that wait to be sent, as lines of an OpenAI batch file. Blocking.

        Raises:
            UsageError: There is no such job, or it is not paused.
        """
        from holychat.jobs import carrying

        return carrying.request_lines(self._database, self._settings, self._costs, job_id)

    async def import_answers(self, path: Path, job_id: int | None = None, price: str = "unknown") -> Imported:
        """Take the answers in that another engine gave; those of documents that have one are left.

        Args:
            path: Answers as lines of an OpenAI batch file.
            job_id: Whose they are, where their custom_ids do not say it.
            price: What they cost, one of `carrying.PRICES`.

        Raises:
            UsageError: There is no such job.
            OSError: The file cannot be read.
        """
        job = None if job_id is None else await self.get(job_id)
        return await asyncio.to_thread(self._import, path, job, price)

    def _import(self, path: Path, job: Job | None, price: str) -> Imported:
        from holychat.jobs.carrying import Importer
        from holychat.log import Masker
        from holychat.providers.batch_lines import answer_lines
        from holychat.providers.failures import Translator

        # Replies are read alike whoever gave them.
        provider = self._registry.get("openai")
        translator = Translator(provider.info, Masker())
        translator.name = "The other engine"
        importer = Importer(
            self._database,
            self._costs,
            provider,
            lambda lines: answer_lines(translator, lines),
            None if job is None else job.id,
            price,
        )
        with path.open("rb") as file:
            return importer.take(file)

    # Batches at providers

    async def probe_batches(self, provider: str) -> bool:
        """Ask a provider whether it has a batch service, and remember it.

        Raises:
            UsageError: There is no such provider.
            ProviderError: It cannot be asked.
            CredentialError: There is no key.
        """
        info, service = self._registry.info(provider), self._registry.batches(provider)
        offered = service is not None and await service.is_offered()
        await self._database.write(lambda c: submissions.found_out(c, provider, info.base_url, offered, _now_ms()))
        return offered

    async def remote_batches(self, provider: str, limit: int) -> builtins.list[KnownBatch]:
        """The newest batches at a provider.

        Raises:
            UsageError: There is no such provider, or it has no batch service.
            ProviderError: It cannot be asked.
            CredentialError: There is no key.
        """
        known = await self._database.read(submissions.by_token)
        by_batch = await self._database.read(lambda c: submissions.by_batch(c, provider))
        found: list[KnownBatch] = []
        async for batch in self._batch_service(provider).batches():
            job = known.get(batch.token)
            found.append(KnownBatch(batch, by_batch.get(batch.id) if job is None else job[0]))
            if len(found) >= limit:
                break
        return found

    async def leftovers(self, provider: str, *, everybodys: bool = False) -> builtins.list[RemoteFile]:
        """Files of holychat at a provider that nobody needs any more.

        Args:
            provider: Its name.
            everybodys: Also those that this history does not know: of other machines, of deleted jobs.

        Raises:
            UsageError: There is no such provider, or it has no batch service.
            ProviderError: It cannot be asked.
            CredentialError: There is no key.
        """
        from holychat.jobs.provider_batch.files import token_of

        service = self._batch_service(provider)
        known = await self._database.read(submissions.by_token)
        over = {token for token, (_, state) in known.items() if state not in OPEN_SUBMISSIONS}
        with_batch: set[str] = set()
        results: set[str] = set()
        async for batch in service.batches():
            if not batch.token:
                continue
            with_batch.add(batch.token)
            if everybodys and batch.token not in known and batch.has_ended:
                over.add(batch.token)
            if batch.token in over:
                results |= {batch.output_file_id, batch.error_file_id}
        old = time.time() - _OLD_S
        found = []
        async for file in service.files():
            token = token_of(file.name)
            alone = everybodys and token not in known and token not in with_batch and 0 < file.created_s < old
            if file.id in results or (token and (token in over or alone)):
                found.append(file)
        return found

    async def delete_remote(self, provider: str, files: Sequence[RemoteFile]) -> int:
        """Delete files at a provider; how many there were.

        Raises:
            UsageError: There is no such provider, or it has no batch service.
            ProviderError: One cannot be deleted.
            CredentialError: There is no key.
        """
        service = self._batch_service(provider)
        deleted = 0
        for file in files:
            deleted += await service.delete_file(file.id)
        return deleted

    def _batch_service(self, provider: str) -> BatchService:
        service = self._registry.batches(provider)
        if service is None:
            raise UsageError(f"{provider} has no batch service", "Jobs of low priority go live there.")
        return service


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
