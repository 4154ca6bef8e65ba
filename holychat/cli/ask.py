"""`holychat ask`: one question, the reply on stdout."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holychat.cli.arguments import LAST, PROVIDER, TEMPERATURE, TEXT, TOKENS, chat_number
from holychat.cli.output import is_terminal
from holychat.errors import UsageError

if TYPE_CHECKING:
    from holychat.cli.session import Session
    from holychat.domain.chat import ChatOptions


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, of whom, and how the reply is wanted."""

    text: str
    files: tuple[Path, ...]
    chat_id: int | None
    """The chat to go on with; None: the last one where `continues`, else a new one."""
    continues: bool
    provider: str | None
    model: str | None
    system: str | None
    temperature: float | None
    max_tokens: int | None
    """These five are None where the command line does not say."""
    stream: bool
    as_json: bool
    save: bool
    over_limit: bool
    """Whether it is asked whatever the limits per day and month say."""

    def options(self, before: ChatOptions) -> ChatOptions:
        """Options of the chat: what it had, or starts with, changed by what the command line says."""
        from dataclasses import replace

        return replace(
            before.asking(self.provider, self.model),
            system=before.system if self.system is None else self.system,
            temperature=before.temperature if self.temperature is None else self.temperature,
            max_tokens=before.max_tokens if self.max_tokens is None else self.max_tokens,
        )


_STATUSES = """Exit status: 0 done, 1 something local failed, 2 usage, 3 key missing or rejected, 4 refused by the
provider, 5 unreachable or server failure after retries, 6 reply cut short (what arrived is printed and kept),
130 interrupted."""


@click.command(short_help="Ask one question; the reply goes to stdout.", epilog=_STATUSES)
@click.argument("prompt", type=TEXT, required=False)
@click.option("-m", "--model", type=TEXT, help="Any name that the provider knows.")
@click.option(
    "-p", "--provider", type=PROVIDER, metavar="NAME", help="holysheep, openai, anthropic, local, offline or your own."
)
@click.option("-s", "--system", type=TEXT, help="Instructions that go before the conversation.")
@click.option("-t", "--temperature", type=TEMPERATURE, metavar="NUMBER", help="0 to 2; 0: always the likeliest words.")
@click.option("--max-tokens", type=TOKENS, metavar="N", help="Longest reply, in tokens.")
@click.option(
    "-f", "--file", "files", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="A text file to go with the prompt; as often as needed.",
)  # fmt: skip
@click.option("--no-stream", is_flag=True, help="Ask for the reply in one piece.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, at the end.")
@click.option("--no-save", is_flag=True, help="Leave no trace in the history.")
@click.option("--over-limit", is_flag=True, help="Ask even where a limit per day or month would hold it.")
@click.option(
    "-c", "--continue", "chat", type=TEXT, is_flag=False, flag_value=LAST, default=None, metavar="[CHAT]",
    help="Go on with the last chat, or with the chat of that number.",
)  # fmt: skip
@click.pass_obj
def ask(
    session: Session,
    prompt: str | None,
    chat: str | None,
    model: str | None,
    provider: str | None,
    system: str | None,
    temperature: float | None,
    max_tokens: int | None,
    files: tuple[Path, ...],
    no_stream: bool,
    as_json: bool,
    no_save: bool,
    over_limit: bool,
) -> int:
    """Ask one question; the reply streams to stdout and nothing else does.

    What comes in on a pipe is appended to PROMPT. The conversation is kept (see `holychat history`), also when it is
    interrupted.
    """
    prompt, chat_id = _sort_out(prompt, chat)
    if no_save and chat is not None:
        raise UsageError("--no-save and --continue exclude each other", "A chat that goes on is a chat that is kept.")
    question = Question(
        text=_with_input(prompt, bool(files)), files=files, chat_id=chat_id, continues=chat is not None,
        provider=provider, model=model, system=system, temperature=temperature, max_tokens=max_tokens,
        stream=not no_stream, as_json=as_json, save=not no_save, over_limit=over_limit,
    )  # fmt: skip
    from holychat.cli.reply import answer

    return session.with_services(lambda services: answer(session, services, question), in_memory=no_save)


def _sort_out(prompt: str | None, chat: str | None) -> tuple[str | None, int | None]:
    """Prompt and chat number; in `--continue "And then?"` the word after the option is the prompt, not a chat."""
    if chat is None or chat == LAST:
        return prompt, None
    if (number := chat_number(chat)) is not None:
        return prompt, number
    if prompt is not None:
        raise UsageError("--continue takes the number of a chat", "`holychat history list` prints the numbers.")
    return chat, None


def _with_input(prompt: str | None, has_files: bool) -> str:
    """The prompt with what comes in on standard input appended."""
    parts = [prompt or "", "" if is_terminal(sys.stdin) else _standard_input()]
    text = "\n\n".join(part for part in parts if part.strip())
    if not text and not has_files:
        raise UsageError("There is nothing to ask", 'Give a prompt, `holychat ask "…"`, or pipe text in.')
    return text


def _standard_input() -> str:
    if sys.stdin is None:
        return ""
    from holychat.chat.attachments import MAX_BYTES

    hint = "Only UTF-8 text can be piped in."
    try:
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UsageError(
                f"What came in on standard input is larger than {MAX_BYTES // 2**20} MiB",
                "Pipe in a part of it; no model reads that much at once.",
            )
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("What came in on standard input is not text", hint) from None
    except OSError as error:
        raise UsageError(f"Cannot read standard input: {error.strerror}", hint) from None
    if "\0" in text:
        raise UsageError("What came in on standard input is not text", hint)
    return text.rstrip("\n")
