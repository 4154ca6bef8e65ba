"""`holychat history`: chats that were held before, from the shell."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holychat.cli.arguments import CHAT, OUT_NAMES, TEXT, OutOption
from holychat.cli.output import table
from holychat.cli.questions import must_agree
from holychat.domain.search import ResultHit
from holychat.errors import UsageError
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from holychat.cli.session import Session
    from holychat.domain.chat import Chat
    from holychat.domain.search import Hit
    from holychat.services import Services


@click.group()
def history() -> None:
    """Chats of the past: list, search, show, export, delete; and what to do with a damaged history."""


@history.command("list", short_help="List chats, the latest first.")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=20, metavar="N", help="At most so many; 20.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_chats(session: Session, limit: int, as_json: bool) -> None:
    """List chats, the latest first: number, when it was last used, messages, title."""

    async def read(services: Services) -> list[Chat]:
        return [entry.chat for entry in await services.chats.list(limit=limit)]

    chats = session.with_services(read)
    if as_json:
        session.out.json([_chat_fields(chat) for chat in chats])
    elif not chats:
        session.out.notice("No chats yet.")
    else:
        session.out.write(
            table([(str(chat.id), _when(chat.updated_ms), str(chat.message_count), chat.title) for chat in chats])
        )


@history.command(short_help="Search all messages and results of jobs.")
@click.argument("words", type=TEXT, nargs=-1, required=True)
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=20, metavar="N", help="At most so many; 20.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def search(session: Session, words: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Search messages and results of jobs for WORDS, the latest first: chat or job, when, who, where it was found."""

    async def read(services: Services) -> Sequence[Hit]:
        return await services.chats.search(" ".join(words), limit=limit)

    hits = session.with_services(read)
    if as_json:
        session.out.json([_hit_fields(hit) for hit in hits])
    elif not hits:
        session.out.notice("Nothing found.")
    else:
        session.out.write(table([(*_place_of(hit), _marked(session, hit)) for hit in hits]))


@history.command(short_help="Print a conversation.")
@click.argument("chat", type=CHAT)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with state, usage and cost of each message.")
@click.pass_obj
def show(session: Session, chat: int | None, as_json: bool) -> None:
    """Print a conversation as Markdown; CHAT is a number, or `last`."""
    _, text = _exported(session, chat, "json" if as_json else "markdown")
    session.out.write(text if text.endswith("\n") else text + "\n")


@history.command(short_help="Write a conversation to a file or stdout.")
@click.argument("chat", type=CHAT)
@click.option("--format", "form", type=click.Choice(["markdown", "json"]), default="markdown", show_default=True)
@click.option(
    *OUT_NAMES, cls=OutOption, type=click.Path(path_type=Path), metavar="PATH", help="A new file; without it stdout."
)
@click.pass_obj
def export(session: Session, chat: int | None, form: Literal["markdown", "json"], out: Path | None) -> None:
    """Write a conversation as Markdown or JSON; CHAT is a number, or `last`."""
    if out is not None and out.exists():
        raise UsageError(f"{out} is there already", "Choose another name; files are never overwritten.")
    _, text = _exported(session, chat, form)
    if out is None:
        session.out.write(text if text.endswith("\n") else text + "\n")
        return
    from holychat.paths import write_private_file
    from holychat.text import replace_surrogates

    write_private_file(out, replace_surrogates(text))
    session.out.line(str(out))


@history.command(short_help="Delete chats for good.")
@click.argument("chats", type=CHAT, nargs=-1, required=True, metavar="CHAT...")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(session: Session, chats: tuple[int | None, ...], yes: bool) -> None:
    """Delete chats with all their messages, for good; CHAT is a number, or `last`."""

    async def read(services: Services) -> list[Chat]:
        return [await find_chat(services, chat) for chat in chats]

    found = {chat.id: chat for chat in session.with_services(read)}
    for chat in () if yes else found.values():
        title = clean_line(chat.title) or "untitled"
        question = f"Delete chat {chat.id}, {title} ({chat.message_count} messages)?"
        must_agree(session, question, "Nothing was deleted.")

    async def delete_all(services: Services) -> None:
        for chat_id in found:
            for job_id in await services.chats.delete(chat_id):
                session.out.notice(f"Job {job_id} still answers a question of chat {chat_id}; its answer stays there.")

    session.with_services(delete_all)
    session.out.line(f"Deleted {', '.join(f'chat {chat_id}' for chat_id in found)}.")


@history.command("move-aside", short_help="Set a damaged history aside, so that a new one can begin.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def move_aside(session: Session, yes: bool) -> None:
    """Set a damaged history aside under another name, so that a new one can begin. Nothing is deleted.

    A history that is sound is left where it is. Close every other holychat first.
    """
    from holychat.store.database import damage_of
    from holychat.store.files import move_aside

    database = session.paths.database
    if not database.exists():
        raise UsageError("There is no history yet", "Nothing has to be moved; the first chat begins one.")
    if (damage := damage_of(database)) is None:
        session.out.line("The history is sound; it stays where it is.")
        return
    if not yes:
        session.warn(damage.title)
        question = "Set it aside and begin a new history with the next chat?"
        must_agree(session, question, "It was left where it is.")
    session.out.line(f"The damaged history is kept as {move_aside(database)}.")


async def find_chat(services: Services, chat_id: int | None) -> Chat:
    """The chat of that number, or the last one for None.

    Raises:
        UsageError: There is no such chat, or none at all.
    """
    if chat_id is not None:
        return await services.chats.get(chat_id)
    if (last := await services.chats.last()) is None:
        raise UsageError("There is no chat yet", 'Begin one: `holychat ask "…"`.')
    return last


def _exported(session: Session, chat_id: int | None, form: Literal["markdown", "json"]) -> tuple[int, str]:
    async def read(services: Services) -> tuple[int, str]:
        chat = await find_chat(services, chat_id)
        return chat.id, await services.chats.export(chat.id, form)

    return session.with_services(read)


def _when(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M")


def _iso(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000).astimezone().isoformat(timespec="seconds")


def _place_of(hit: Hit) -> tuple[str, str, str]:
    if isinstance(hit, ResultHit):
        return f"job {hit.job_id}", _when(hit.created_ms), hit.name
    return str(hit.chat_id), _when(hit.created_ms), hit.role.value


def _marked(session: Session, hit: Hit) -> str:
    """The found line; on a terminal what was searched for stands in brackets."""
    if not session.out.to_terminal:
        return hit.snippet
    return "".join(f"[{text}]" if found else text for text, found in hit.pieces)


def _chat_fields(chat: Chat) -> dict[str, Any]:
    return {
        "id": chat.id,
        "title": chat.title,
        "provider": chat.options.provider,
        "model": chat.options.model,
        "messages": chat.message_count,
        "created": _iso(chat.created_ms),
        "updated": _iso(chat.updated_ms),
    }


def _hit_fields(hit: Hit) -> dict[str, Any]:
    if isinstance(hit, ResultHit):
        return {
            "job_id": hit.job_id,
            "job": hit.job_name,
            "item_id": hit.item_id,
            "name": hit.name,
            "snippet": hit.snippet,
            "created": _iso(hit.created_ms),
        }
    return {
        "chat_id": hit.chat_id,
        "title": hit.title,
        "message_id": hit.message_id,
        "role": hit.role.value,
        "snippet": hit.snippet,
        "created": _iso(hit.created_ms),
        "replaced": hit.replaced,
    }
