"""Webhooks: made with the end of a job, signed, sent until they arrive, given up visibly."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from holychat.credentials.chain import KeyChain
from holychat.credentials.webhook_secret import new_webhook_secret
from holychat.domain.webhooks import WebhookState
from holychat.jobs.courier import PAUSES, Courier
from holychat.log import Masker
from holychat.providers import outgoing
from holychat.providers.outgoing import AddressRefused, Reach, check_address
from holychat.settings import Settings
from holychat.store import webhooks
from holychat.store.database import Database
from tests.jobs.receiver import ENDLESS, HANG, OK, receiving, status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holychat.domain.webhooks import Webhook
    from holychat.store.database import Connection

LOOPBACK = Reach(loopback=True)
SECRET = new_webhook_secret()


class Clock:
    """Unix time that a test moves."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "data" / "holychat.db")
    yield database
    database.close()


def end_a_job(database: Database, url: str, state: str = "finished") -> int:
    """A job with two items, ended in that state."""

    def write(connection: Connection) -> int:
        connection.execute(
            """
            INSERT INTO jobs (name, kind, state, provider, priority, recipe, sources, limits, callback_url, created_ms,
                updated_ms, spent_micros, requests)
            VALUES ('secret plans', 'prompt', 'running', 'offline', 'low', '{}', '[]', '{}', ?, 1, ?, 1250, 2)
            """,
            (url, time.time_ns() // 1_000_000 - 1000),
        )
        job_id = connection.last_insert_rowid()
        for ordinal, (item, failure) in enumerate((("done", None), ("failed", "{}"))):
            connection.execute(
                """
                INSERT INTO items (job_id, ordinal, source_key, name, state, failure, updated_ms)
                VALUES (?, ?, ?, 'plans.txt', ?, ?, 1)
                """,
                (job_id, ordinal, str(ordinal), item, failure),
            )
        connection.execute("UPDATE jobs SET state = ? WHERE id = ?", (state, job_id))
        return job_id

    return database.write_now(write)


def courier_of(
    database: Database, clock: Clock | None = None, *, secret: str = SECRET, reach: Reach = LOOPBACK
) -> Courier:
    environ = {"HOLYCHAT_WEBHOOK_SECRET": secret} if secret else {}
    return Courier(database, KeyChain(Settings(), Masker(), environ), reach, now=clock or time.time)


def message(database: Database, job_id: int) -> Webhook:
    (webhook,) = database.read_now(lambda connection: webhooks.of_job(connection, job_id))
    return webhook


async def test_the_end_of_a_job_is_told_once_signed_and_without_texts(database: Database) -> None:
    async with receiving() as receiver:
        job_id = end_a_job(database, receiver.url, "finished_with_errors")
        courier = courier_of(database)
        assert await courier.deliver_due() == 1
        assert await courier.deliver_due() == 0
    told = Verifier(SECRET).verify(receiver.bodies[0], receiver.headers[0])
    assert told["type"] == "job.finished_with_errors"
    assert told["data"] == {
        "job_id": job_id,
        "state": "finished_with_errors",
        "counts": {"done": 1, "failed": 1},
        "requests": 2,
        "input_tokens": 0,
        "output_tokens": 0,
        "cost_micros": 1250,
        "cost_estimated": False,
        "answers_of_unknown_price": 0,
    }
    assert b"plans" not in receiver.bodies[0]
    assert receiver.headers[0][":request"] == "POST /hook?from=holychat HTTP/1.1"
    assert receiver.headers[0]["host"] == f"127.0.0.1:{receiver.port}"
    assert message(database, job_id).state is WebhookState.DELIVERED


async def test_a_job_without_an_address_tells_nobody(database: Database) -> None:
    end_a_job(database, "")
    assert await courier_of(database).next_due() is None


@pytest.mark.parametrize("answer", [status("500 Oops"), status("429 Slow"), status("301 Moved", "Location: /there")])
async def test_an_answer_that_is_no_success_is_tried_again_later_under_the_same_id(
    database: Database, answer: bytes
) -> None:
    clock = Clock()
    async with receiving(answer, OK) as receiver:
        job_id = end_a_job(database, receiver.url)
        courier = courier_of(database, clock)
        await courier.deliver_due()
        waiting = message(database, job_id)
        assert waiting.state is WebhookState.PENDING
        assert waiting.last_status == int(answer.split()[1])
        assert await courier.deliver_due() == 0
        due = await courier.next_due()
        assert due is not None
        assert PAUSES[0] <= due - clock.now <= 1.2 * PAUSES[0] + 0.01
        clock.now = due
        # Another worker, after a restart, goes on where the first one was.
        assert await courier_of(database, clock).deliver_due() == 1
    assert [headers["webhook-id"] for headers in receiver.headers] == [waiting.message_id] * 2
    assert [headers[":request"].split()[1] for headers in receiver.headers] == ["/hook?from=holychat"] * 2
    assert message(database, job_id).state is WebhookState.DELIVERED


async def test_a_receiver_that_asks_for_time_gets_it(database: Database) -> None:
    clock = Clock()
    async with receiving(status("429 Slow", "Retry-After: 1234")) as receiver:
        end_a_job(database, receiver.url)
        courier = courier_of(database, clock)
        await courier.deliver_due()
        due = await courier.next_due()
    assert due is not None
    assert due - clock.now == pytest.approx(1234, abs=0.01)


async def test_410_ends_it_at_once(database: Database) -> None:
    async with receiving(status("410 Gone")) as receiver:
        job_id = end_a_job(database, receiver.url)
        await courier_of(database).deliver_due()
    assert message(database, job_id).state is WebhookState.GIVEN_UP
    assert "410" in message(database, job_id).last_error


async def test_it_is_given_up_in_the_end_and_sent_again_on_request(database: Database) -> None:
    clock = Clock()
    async with receiving(status("500 Oops")) as receiver:
        job_id = end_a_job(database, receiver.url)
        courier = courier_of(database, clock)
        while (due := await courier.next_due()) is not None:
            clock.now = max(clock.now, due)
            await courier.deliver_due()
        given_up = message(database, job_id)
        assert given_up.state is WebhookState.GIVEN_UP
        assert given_up.attempts == len(receiver.bodies) == len(PAUSES) + 1
        receiver.answers = [OK]
        assert database.write_now(lambda c: webhooks.send_again(c, job_id, round(clock.now * 1000))) == 1
        await courier.deliver_due()
    assert message(database, job_id).state is WebhookState.DELIVERED
    assert {headers["webhook-id"] for headers in receiver.headers} == {given_up.message_id}


async def test_an_endless_body_is_not_read(database: Database) -> None:
    async with receiving(ENDLESS) as receiver:
        job_id = end_a_job(database, receiver.url)
        await courier_of(database).deliver_due()
        assert message(database, job_id).state is WebhookState.DELIVERED
        await receiver.closed.wait()


async def test_a_receiver_that_hangs_is_left_after_a_while(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving(HANG) as receiver:
        started = time.monotonic()
        with pytest.raises(outgoing.DeliveryFailed, match="no answer within"):
            await outgoing.post(receiver.url, b"{}", {}, LOOPBACK, seconds=0.2)
        assert time.monotonic() - started < 5
        await receiver.closed.wait()


async def test_nobody_there_is_tried_again(database: Database) -> None:
    async with receiving() as receiver:
        url = receiver.url
    job_id = end_a_job(database, url)
    await courier_of(database).deliver_due()
    assert message(database, job_id).state is WebhookState.PENDING
    assert message(database, job_id).last_status is None


@pytest.mark.parametrize(
    "odd", ["https://example..com/", "https://127.0.0.1/\x7f", f"https://127.0.0.1/{'x' * 70_000}"]
)
async def test_an_address_that_nobody_can_ask_for_is_given_up_and_holds_up_no_other(
    database: Database, odd: str
) -> None:
    async with receiving() as receiver:
        first, second = end_a_job(database, odd), end_a_job(database, receiver.url)
        assert await courier_of(database).deliver_due() == 2
    assert message(database, first).state is WebhookState.GIVEN_UP
    assert "no https address" in message(database, first).last_error
    assert message(database, second).state is WebhookState.DELIVERED


@pytest.mark.parametrize("secret", ["", "whsec_short", "not base64 at all!"])
async def test_without_a_usable_secret_nothing_is_sent_and_no_attempt_is_used_up(
    database: Database, secret: str
) -> None:
    clock = Clock()
    async with receiving() as receiver:
        job_id = end_a_job(database, receiver.url)
        await courier_of(database, clock, secret=secret.replace(" ", "")).deliver_due()
        waiting = message(database, job_id)
        assert (waiting.state, waiting.attempts, receiver.bodies) == (WebhookState.PENDING, 0, [])
        assert "secret" in waiting.last_error
        clock.now += 61
        await courier_of(database, clock).deliver_due()
    assert message(database, job_id).state is WebhookState.DELIVERED


async def test_a_name_that_stands_for_a_forbidden_address_is_refused_when_it_is_resolved(database: Database) -> None:
    async with receiving() as receiver:
        url = f"https://localhost:{receiver.port}/hook"
        check_address(url, Reach())  # the name alone tells nothing
        job_id = end_a_job(database, url)
        await courier_of(database, reach=Reach()).deliver_due()
        assert message(database, job_id).state is WebhookState.GIVEN_UP
        assert "allow_loopback" in message(database, job_id).last_error
        assert receiver.headers == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com/hook",
        "https://",
        "https://example.com:0/",
        "https://user:password@example.com/",
        "https://exam ple.com/",
        "https://example..com/",
        f"https://{'a' * 64}.com/",
        "https://example.com/\x7f",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://10.1.2.3/",
        "https://192.168.0.1/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[fd00::1]/",
        "https://[fe80::1]/",
        "https://[fec0::2]/",
        "https://[::ffff:169.254.169.254]/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
    ],
)
def test_addresses_that_nothing_is_sent_to(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_address(url, Reach())


@pytest.mark.parametrize("url", ["https://169.254.169.254/", "https://[::ffff:169.254.169.254]/", "https://0.0.0.0/"])
def test_no_setting_opens_link_local_addresses(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_address(url, Reach(loopback=True, private=True))


@pytest.mark.parametrize(
    ("url", "reach"),
    [
        ("https://example.com/hook", Reach()),
        ("https://93.184.216.34/", Reach()),
        ("http://127.0.0.1:9/", Reach(loopback=True)),
        ("http://localhost:9/", Reach(loopback=True)),
        ("https://192.168.0.1/", Reach(private=True)),
        ("https://[fec0::2]/", Reach(private=True)),
    ],
)
def test_addresses_that_are_allowed(url: str, reach: Reach) -> None:
    check_address(url, reach)


def test_http_to_a_private_network_stays_forbidden() -> None:
    with pytest.raises(AddressRefused, match="https only"):
        check_address("http://192.168.0.1/", Reach(loopback=True, private=True))


async def test_a_message_in_flight_when_its_worker_died_is_sent_again(database: Database) -> None:
    clock = Clock()
    async with receiving() as receiver:
        job_id = end_a_job(database, receiver.url)
        now_ms = round(clock.now * 1000)
        database.write_now(lambda c: webhooks.take_due(c, now_ms, now_ms + 60_000, 4))  # and then it died
        courier = courier_of(database, clock)
        assert await courier.deliver_due() == 0
        clock.now += 61
        assert await courier.deliver_due() == 1
    assert json.loads(receiver.bodies[0])["data"]["job_id"] == job_id
