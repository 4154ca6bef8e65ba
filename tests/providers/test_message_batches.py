"""The client of Message Batches, against a provider on loopback."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anthropic
import pytest

from holychat.domain.chat import Role
from holychat.domain.request import PromptMessage
from holychat.errors import KeyRejected, Outcome, Overloaded, ProviderError, RequestRefused
from tests.providers.claudes import HI, claude
from tests.providers.tools import KEY
from tests.support.message_batches import MessageBatches, errored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from holychat.domain.request import ReplyRequest
    from holychat.providers.batch_service import BatchService


@pytest.fixture
def server() -> Iterator[MessageBatches]:
    with MessageBatches() as server:
        yield server


@pytest.fixture
async def service(server: MessageBatches) -> AsyncIterator[BatchService]:
    asked = claude(server.url)
    yield asked.batches()
    await asked.aclose()


def lines_for(service: BatchService, folder: Path, *names: str) -> Path:
    file = folder / "requests.jsonl"
    file.write_bytes(b"".join(service.line(f"token-{name}", _about(name)) for name in names))
    return file


def _about(name: str) -> ReplyRequest:
    return replace(HI, messages=(replace(HI.messages[0], text=f"line one\nabout {name}"),))


async def test_requests_go_out_and_their_results_come_back(
    server: MessageBatches, service: BatchService, tmp_path: Path
) -> None:
    assert await service.is_offered()
    content = lines_for(service, tmp_path, "1", "2", "3")
    file = await service.upload("holychat-token.jsonl", content)
    assert not server.requests[1:], "something was sent ahead of the order"
    server.running = True
    batch = await service.create(file.id, "token", content)
    assert (batch.status, batch.has_ended, batch.total, batch.output_file_id) == ("in_progress", False, 3, "")
    assert batch.expires_s == batch.created_s + 86_400
    assert await service.token_of(batch) is None
    server.end()
    ended = await service.get(batch.id)
    assert (ended.status, ended.has_ended, ended.completed, ended.failed) == ("completed", True, 3, 0)
    size = await service.download(ended.output_file_id, tmp_path / "out.jsonl")
    raw = (tmp_path / "out.jsonl").read_bytes()
    assert size == len(raw)
    answers = list(service.answers([*raw.splitlines(keepends=True), b"nonsense\n", b'{"custom_id": 7}\n']))
    assert [line.custom_id for line in answers] == ["token-3", "token-2", "token-1"]
    assert all((line.status, line.error) == (200, None) for line in answers)
    assert json.loads(answers[2].body)["content"][0]["text"] == "about line one\nabout 1"
    assert await service.token_of(ended) == "token"
    assert [batch.id async for batch in service.batches()] == [batch.id]
    assert [file async for file in service.files()] == []
    assert await service.delete_file(batch.id)
    assert not await service.delete_file(batch.id)
    assert {request.headers["x-api-key"] for request in server.requests} == {KEY}


async def test_an_order_is_one_body_of_known_length_however_large(
    server: MessageBatches, service: BatchService, tmp_path: Path
) -> None:
    content = lines_for(service, tmp_path, *map(str, range(9000)))
    assert content.stat().st_size > 1024 * 1024
    await service.create("", "token", content)
    (request,) = server.requests
    assert "transfer-encoding" not in request.headers
    assert int(request.headers["content-length"]) == len(request.body)
    assert [one["custom_id"] for one in request.json["requests"]] == [f"token-{number}" for number in range(9000)]
    assert request.json["requests"][0]["params"]["max_tokens"] == 32_000


async def test_what_was_not_done_says_why(server: MessageBatches, service: BatchService, tmp_path: Path) -> None:
    server.fates = {
        "about 1": errored("invalid_request_error", "bad words"),
        "about 2": {"type": "expired"},
        "about 3": {"type": "canceled"},
        "about 4": errored("overloaded_error", "Overloaded"),
        "about 5": errored("authentication_error", "no"),
    }
    batch = await service.create("", "token", lines_for(service, tmp_path, "1", "2", "3", "4", "5", "6"))
    await service.download(batch.id, tmp_path / "out.jsonl")
    lines = {line.custom_id[-1]: line for line in service.answers((tmp_path / "out.jsonl").read_bytes().splitlines())}
    assert [type(lines[name].error) for name in "145"] == [RequestRefused, Overloaded, KeyRejected]
    assert "bad words" in str(lines["1"].error)
    assert [lines[name].code for name in "23"] == ["batch_expired", "batch_cancelled"]
    assert (lines["4"].status, lines["6"].error) == (429, None)
    assert (await service.get(batch.id)).failed == 5


async def test_an_order_whose_answer_never_comes_leaves_its_fate_open(
    server: MessageBatches, service: BatchService, tmp_path: Path
) -> None:
    server.torn = 1
    content = lines_for(service, tmp_path, "1")
    with pytest.raises(ProviderError) as torn:
        await service.create("", "token", content)
    assert torn.value.outcome is Outcome.AMBIGUOUS
    (found,) = [batch async for batch in service.batches()]
    assert (found.total, found.token, await service.token_of(found)) == (1, "", "token")
    server.busy = 1
    with pytest.raises(Overloaded) as busy:
        await service.create("", "token", content)
    assert busy.value.outcome is Outcome.REFUSED


async def test_a_batch_without_results_belongs_to_nobody_known(
    server: MessageBatches, service: BatchService, tmp_path: Path
) -> None:
    batch = await service.create("", "token", lines_for(service, tmp_path, "1"))
    server.batches[batch.id].has_results = False
    assert await service.token_of(await service.get(batch.id)) is None
    assert await service.token_of(replace(batch, output_file_id=batch.id)) is None
    server.batches[batch.id].has_results = True
    assert await service.token_of(await service.get(batch.id)) == "token"


async def test_lists_are_paged(server: MessageBatches, service: BatchService) -> None:
    for number in range(230):
        server.order([{"custom_id": f"c{number}", "params": {"messages": [{"content": "x"}]}}])
    assert [batch.id async for batch in service.batches()] == [f"msgbatch_{number}" for number in range(230, 0, -1)]
    assert len(server.requests) == 3


async def test_a_host_without_the_service_is_told_apart(server: MessageBatches, service: BatchService) -> None:
    server.offered = False
    assert not await service.is_offered()


async def test_a_length_of_ours_that_a_batch_was_refused_for_is_learnt(service: BatchService) -> None:
    said = "test refused the request: max_tokens: 32000 > 4096, which is the maximum allowed number of output tokens"
    assert service.learn("claude-test-1", said)
    assert json.loads(service.line("a-1", HI))["params"]["max_tokens"] == 4096
    assert service.learn("claude-test-1", said), "another line of the same batch was refused for the same"
    assert service.learn("claude-test-1", said.replace("32000 > 4096", "4096 > 2048"))
    assert service.learn("claude-test-1", said), "a refusal that was heard late"
    assert json.loads(service.line("a-1", HI))["params"]["max_tokens"] == 2048, "what was allowed last counts"
    assert not service.learn("claude-test-1", said.replace("32000", "3200")), "the beginning of a figure is another one"
    assert not service.learn("claude-test-1", "max_tokens: 9 > 5, which is the maximum"), "that was the person's"
    assert json.loads(service.line("a-1", replace(HI, max_tokens=9)))["params"]["max_tokens"] == 9


async def test_in_a_batch_what_a_long_prompt_leaves_of_the_context_is_asked_for(server: MessageBatches) -> None:
    provider = claude(server.url, window=200_000)
    service = provider.batches()

    def asked(words: int, **more: Any) -> int:
        request = replace(HI, model="claude-haiku-4.5", messages=(PromptMessage(Role.USER, "word " * words),), **more)
        most: int = json.loads(service.line("a-1", request))["params"]["max_tokens"]
        return most

    assert asked(10) == asked(1000) == 64_000
    assert 0 < asked(110_000) < 60_000
    assert asked(110_000, max_tokens=64_000) == 64_000, "what the person chose is never changed"
    assert asked(500_000) == 64_000, "it has no room at all; the refusal says so"
    await provider.aclose()


async def test_the_official_client_reads_the_same_batches(
    server: MessageBatches, service: BatchService, tmp_path: Path
) -> None:
    await service.create("", "token", lines_for(service, tmp_path, "1", "2"))
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=server.url, max_retries=0) as official:
        (theirs,) = [batch async for batch in official.messages.batches.list()]
    (ours,) = [batch async for batch in service.batches()]
    assert (theirs.id, theirs.processing_status, ours.status) == (ours.id, "ended", "completed")
    assert theirs.request_counts.succeeded == ours.completed == 2
    assert int(theirs.created_at.timestamp()) == ours.created_s
