"""`holychat keys`: where each provider's key comes from, and keeping one in the keyring. A key is never an argument."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from holychat.cli.arguments import PROVIDER
from holychat.cli.output import is_terminal
from holychat.errors import ExitCode, UsageError
from holychat.text import clean_line

if TYPE_CHECKING:
    from holychat.cli.session import Session
    from holychat.credentials.answer import KeyAnswer
    from holychat.domain.request import ProviderInfo

_LONGEST_KEY = 64 * 1024


@click.group()
def keys() -> None:
    """API keys: where they come from, and the keyring."""


@keys.command("set", short_help="Keep a provider's key in the keyring.")
@click.argument("provider", type=PROVIDER)
@click.argument("surplus", nargs=-1, type=click.UNPROCESSED, metavar="")
@click.option("--new", "make_new", is_flag=True, help="For `webhook`: make a secret, keep it, print it once.")
@click.pass_obj
def set_key(session: Session, provider: str, surplus: tuple[str, ...], make_new: bool) -> None:
    """Keep PROVIDER's key in the keyring of the operating system.

    On a terminal you are asked for it and it is not shown; otherwise it is read from standard input. PROVIDER can also
    be `webhook`: the secret that signs the messages which tell a receiver that a job has ended.
    """
    if surplus:
        # It may be the key itself, so it is not repeated; it is in the process list already.
        raise UsageError(
            "A key is never given as an argument, where other programs can read it",
            f"Run `holychat keys set {provider}` and type it, or pipe it in; if that was a real key, replace it.",
        )
    from holychat.credentials.secret import checked_secret
    from holychat.credentials.webhook_secret import WEBHOOK, new_webhook_secret, signing_key

    info = _known(session, provider)
    if make_new and info.name != WEBHOOK.name:
        raise UsageError("Only the secret of webhooks can be made here", "Keys come from the provider's site.")
    value = new_webhook_secret() if make_new else _read_key(session, info)
    if info.name == WEBHOOK.name:
        signing_key(checked_secret(value, "What was given"))
    answer = session.keychain.store(info.name, value)
    if make_new:
        session.out.line(value)
        session.out.notice(f"It is kept in {answer.detail}. Give it to the receiver now: it is not shown again.")
    else:
        session.out.line(f"The key for {info.name} is kept in {answer.detail}.")
    used = session.keychain.lookup(info)
    if used.secret is not None and used.source != answer.source:
        session.out.notice(f"Note: {used.source.value} {used.detail} comes first and is what will be used.")


@keys.command(short_help="Show where keys come from.")
@click.argument("provider", type=PROVIDER, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def status(session: Session, provider: str | None, as_json: bool) -> int:
    """Show every place where a key is looked for and which one is used, for PROVIDER or for all.

    With PROVIDER the exit status is 3 where it has no key.
    """
    infos = [_known(session, provider)] if provider else [info for info in session.registry.infos() if info.needs_key]
    answers = {info.name: session.keychain.status(info) for info in infos}
    if as_json:
        session.out.json({name: [_as_dict(answer) for answer in rungs] for name, rungs in answers.items()})
    else:
        for name, rungs in answers.items():
            _print_rungs(session, name, rungs)
    missing = provider is not None and infos[0].needs_key and not any(rung.secret for rung in answers[infos[0].name])
    return ExitCode.KEY if missing else ExitCode.DONE


@keys.command(short_help="Delete a provider's key from the keyring.")
@click.argument("provider", type=PROVIDER)
@click.pass_obj
def delete(session: Session, provider: str) -> None:
    """Delete PROVIDER's key from the keyring of the operating system."""
    info = _known(session, provider)
    session.keychain.delete(info.name)
    session.out.line(f"The keyring no longer holds a key for {info.name}.")


def _known(session: Session, name: str) -> ProviderInfo:
    """The provider of that name. What is not one is not repeated: it may be a key that was typed in its place."""
    from holychat.credentials.webhook_secret import WEBHOOK

    infos = {info.name: info for info in (*session.registry.infos(), WEBHOOK)}
    if name not in infos:
        raise UsageError("There is no provider of that name", f"There are {', '.join(infos)}.")
    return infos[name]


def _read_key(session: Session, info: ProviderInfo) -> str:
    if is_terminal(sys.stdin):
        value: str = click.prompt(f"Key for {info.name} (not shown)", hide_input=True, err=True)
        return value
    if sys.stdin is None:
        raise UsageError("There is no input to read the key from")
    try:
        value = sys.stdin.read(_LONGEST_KEY)
    except UnicodeDecodeError:
        raise UsageError("What came in is not text, so it is not a key") from None
    if not value.strip():
        raise UsageError("No key came in", f"Pipe it in: `pass show {info.name} | holychat keys set {info.name}`.")
    session.masker.add(value.strip())
    return value


def _print_rungs(session: Session, name: str, rungs: tuple[KeyAnswer, ...]) -> None:
    used = next((rung for rung in rungs if rung.secret is not None), None)
    session.out.line(f"{name}: {f'key from {used.source.value}' if used else 'no key'}")
    for rung in rungs:
        found = "used" if rung is used else "found" if rung.secret is not None else "none"
        reason = rung.problem or (rung.trouble.value if rung.trouble is not None else "")
        about = ": ".join(part for part in (rung.detail, reason) if part)
        session.out.line(f"  {rung.source.value:<12} {found:<6} {clean_line(about)}".rstrip())


def _as_dict(answer: KeyAnswer) -> dict[str, str | bool | None]:
    return {
        "source": answer.source.value,
        "detail": answer.detail,
        "found": answer.secret is not None,
        "trouble": answer.trouble.value if answer.trouble is not None else None,
        "problem": answer.problem,
    }
