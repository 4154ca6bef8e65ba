"""Making a job out of what somebody ordered: checks before anything is stored, and what is filled in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.domain.jobs import Kind, SourceKind
from holychat.errors import ProviderError, UsageError
from holychat.jobs.names import LONGEST_NAME, job_name
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holychat.credentials.chain import KeyChain
    from holychat.domain.jobs import JobLimits, JobSpec
    from holychat.domain.request import ProviderInfo
    from holychat.providers.registry import ProviderRegistry
    from holychat.settings import Settings

OUT_FORMATS = ("", "jsonl", "csv", "markdown", "files")


def check(spec: JobSpec, info: ProviderInfo) -> None:
    """Make sure that a job can be worked at. Blocking: it looks whether the sources are there.

    Raises:
        UsageError: It cannot; the title says why.
    """
    from holychat.jobs import documents, recipes

    recipes.check(spec.recipe, offline=info.kind == "offline")
    for problem in _problems(spec.limits):
        raise UsageError(problem)
    if spec.out_format not in OUT_FORMATS:
        raise UsageError(f"Results cannot be written as {clean_line(spec.out_format, 40)!r}", "Try jsonl or csv.")
    if spec.out:
        from holychat.jobs.export import format_of

        format_of(spec.out, spec.out_format)
    if not spec.sources:
        raise UsageError("There are no documents", "Name files or folders.")
    requests = [source.kind is SourceKind.REQUESTS for source in spec.sources]
    if any(requests) != (spec.recipe.kind is Kind.REQUESTS) or any(requests) != all(requests):
        raise UsageError(
            "Ready-made requests make a job of their own", "Submit the file alone: `holychat batch submit`."
        )
    for source in spec.sources:
        if source.kind is SourceKind.CHAT and not source.value.isdecimal():
            raise UsageError(f"{clean_line(source.value, 40)!r} is not the number of a chat")
        documents.check(source)


async def check_callback(url: str, settings: Settings, keychain: KeyChain) -> None:
    """Make sure that an address can be told of the end of a job, where there is one.

    Raises:
        UsageError: Nothing may be sent there, or there is nothing to sign messages with.
    """
    if not url:
        return
    from holychat.credentials.webhook_secret import WEBHOOK, no_webhook_secret, signing_key
    from holychat.providers.outgoing import Reach, check_address

    check_address(url, Reach(settings.webhooks.allow_loopback, settings.webhooks.allow_private))
    secret = (await keychain.find(WEBHOOK)).secret
    if secret is None:
        raise no_webhook_secret()
    signing_key(secret)


async def completed(spec: JobSpec, registry: ProviderRegistry) -> JobSpec:
    """The order with its name and model filled in.

    Raises:
        UsageError: There is no such provider, or it has no default model and cannot be asked for one.
    """
    info = registry.info(spec.provider)
    name = clean_line(spec.name, LONGEST_NAME) or job_name(spec.sources, spec.recipe)
    model = spec.model.strip() or info.model
    if not model and spec.recipe.kind is not Kind.REQUESTS:
        try:
            model = next((found.id for found in await registry.get(info.name).models()), "")
        except ProviderError as error:
            raise UsageError(f"Which model is not known: {error.title}", "Name one, for example with -m.") from error
        if not model:
            raise UsageError(f"{info.name} offers no model", "Name one, for example with -m.")
    return replace(spec, name=name, model=model)


def _problems(limits: JobLimits) -> Iterator[str]:
    if limits.budget_micros is not None and limits.budget_micros < 0:
        yield "The budget must be 0 or more"
    if limits.doubt_micros is not None and limits.doubt_micros < 0:
        yield "What requests in doubt may cost must be 0 or more"
    if limits.doubt_retries < 0:
        yield "Requests in doubt that may be sent again must be 0 or more"
    if limits.requests_per_minute is not None and not limits.requests_per_minute > 0:
        yield "The requests per minute must be more than 0"
    for name in ("concurrency", "batch_size", "trial"):
        value = getattr(limits, name)
        if value is not None and value < 1:
            yield f"{name.replace('_', ' ').capitalize()} must be 1 or more"
