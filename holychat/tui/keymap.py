"""Every key of the app, in one table.

Each row has an id that `[keys]` in config.toml can give other keys to:

    [keys]
    "chat.editor" = "ctrl+e"
    "composer.newline" = "ctrl+j,alt+enter"

Widgets and screens take their `BINDINGS` from here by scope, the help screen lists the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

from holychat.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.binding import BindingType

Scope: TypeAlias = Literal[
    "app",
    "chat",
    "composer",
    "messages",
    "chats",
    "models",
    "jobs",
    "job_form",
    "job_review",
    "job",
    "folders",
    "costs",
    "replaced",
    "dialog",
]

SCOPE_TITLES: dict[Scope, str] = {
    "app": "Everywhere",
    "chat": "In a chat",
    "composer": "While writing",
    "messages": "On a message",
    "chats": "In the list of chats",
    "models": "In the list of models",
    "jobs": "In the list of jobs",
    "job_form": "In the form of a new job",
    "job_review": "Before a job is sent",
    "job": "In a job",
    "folders": "In the tree of folders",
    "costs": "In the costs",
    "replaced": "In what was replaced",
    "dialog": "In a dialog",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One row: what a key does, where."""

    id: str
    keys: str
    """Default keys, comma separated, as Textual names them."""
    action: str
    label: str
    """One or two words for the footer."""
    help: str
    scope: Scope
    show: bool = False
    """Whether the footer may show it."""
    priority: bool = False
    """Whether it works before the focused widget sees the key."""


KEYS: tuple[Key, ...] = (
    Key("app.quit", "ctrl+q", "quit", "quit", "Quit; drafts and running replies are kept", "app", True, True),
    Key(
        "app.copy",
        "ctrl+c,super+c",
        "copy_or_stop",
        "copy",
        "Copy the selection, else stop the reply",
        "app",
        False,
        True,
    ),
    Key("chat.stop", "escape", "stop", "stop", "Stop the reply and keep its text; back to the composer", "chat", True),
    Key("chat.new", "ctrl+n", "new_chat", "new", "New chat", "chat", True),
    Key("chat.list", "ctrl+s", "chats", "chats", "Find and open a chat", "chat", True),
    Key("chat.model", "ctrl+l", "models", "model", "Choose model and provider", "chat", True),
    Key("chat.commands", "ctrl+p", "app.command_palette", "menu", "All commands", "chat", True),
    Key("chat.panel", "f4,ctrl+b", "toggle_panel", "jobs", "Show or hide background jobs", "chat", True, True),
    Key("chat.costs", "f3", "costs", "costs", "What was spent, by model and by day", "chat", True),
    Key("chat.later", "f8", "ask_later", "later", "Ask what is typed for later; the answer lands in this chat", "chat"),
    Key("chat.editor", "ctrl+o", "edit_in_editor", "editor", "Write in $EDITOR", "chat"),
    Key("chat.help", "f1", "help", "help", "Help", "chat", True),
    Key("chat.top", "ctrl+home", "scroll_top", "top", "Scroll to the beginning", "chat"),
    Key("chat.latest", "ctrl+end", "scroll_latest", "latest", "Scroll to the end and follow it", "chat"),
    Key("chat.page_up", "shift+pageup", "scroll_page(-1)", "page up", "Scroll a page up", "chat"),
    Key("chat.page_down", "shift+pagedown", "scroll_page(1)", "page down", "Scroll a page down", "chat"),
    Key("composer.send", "enter", "send", "send", "Send; while a reply arrives: send next", "composer", True),
    Key("composer.newline", "shift+enter,alt+enter,ctrl+j", "newline", "newline", "New line", "composer"),
    Key(
        "composer.complete",
        "tab",
        "complete",
        "complete",
        "Complete a slash command or the path of a file",
        "composer",
        True,
    ),
    Key(
        "composer.messages", "alt+up", "messages", "messages", "Go up to the messages (also Up when empty)", "composer"
    ),
    Key("composer.messages_down", "alt+down", "messages_first", "messages", "Go to the first message", "composer"),
    Key("messages.up", "up,k,alt+up", "move(-1)", "up", "Message above", "messages"),
    Key(
        "messages.down",
        "down,j,alt+down",
        "move(1)",
        "down",
        "Message below; after the last one back to writing",
        "messages",
    ),
    Key("messages.copy", "y", "copy", "copy", "Copy the message", "messages", True),
    Key("messages.code", "u", "copy_code", "code", "Copy its next code block", "messages", True),
    Key("messages.edit", "e", "edit", "edit", "Edit and send again", "messages", True),
    Key("messages.regenerate", "r", "regenerate", "again", "Ask for another answer", "messages", True),
    Key(
        "messages.continue",
        "c",
        "continue_reply",
        "continue",
        "Continue an answer that was cut short",
        "messages",
        True,
    ),
    Key("messages.fold", "enter", "fold", "reasoning", "Fold or unfold the reasoning", "messages"),
    Key("messages.leave", "tab", "leave", "write", "Back to writing (also Esc, or just type)", "messages"),
    Key("messages.save", "s", "save", "save", "Save the message to a file", "messages", True),
    Key("messages.replaced", "v", "screen.replaced", "replaced", "Read what was replaced in this chat", "messages"),
    Key("messages.first", "g,home", "first", "first", "First message", "messages"),
    Key("messages.last", "G,end", "last", "last", "Last message", "messages"),
    Key("messages.page_up", "pageup", "page(-1)", "page up", "Scroll a page up", "messages"),
    Key("messages.page_down", "pagedown", "page(1)", "page down", "Scroll a page down", "messages"),
    Key("chats.open", "enter", "open", "open", "Open the chat, at the place that was found", "chats", True),
    Key("chats.rename", "f2", "rename", "rename", "Give the chat another title", "chats", True),
    Key("chats.delete", "delete,ctrl+d", "delete", "delete", "Delete the chat, after a question", "chats", True),
    Key("chats.export", "e", "export", "export", "Export the chat to Markdown or JSON", "chats", True),
    Key("models.choose", "enter", "choose", "choose", "Use this model", "models", True),
    Key("models.provider", "ctrl+t", "next_provider", "provider", "Next provider", "models", True),
    Key("jobs.open", "enter", "act('open')", "open", "Open the job; review it where it is a draft", "jobs", True),
    Key("jobs.new", "n", "act('new')", "new job", "New job", "jobs", True, True),
    Key("jobs.pause", "p", "act('pause')", "pause", "Pause the job, or let it go on", "jobs", True),
    Key("jobs.cancel", "x", "act('cancel')", "cancel", "Cancel the job, after a question", "jobs", True),
    Key("jobs.delete", "d,delete", "act('delete')", "delete", "Delete the job, after a question", "jobs", True),
    Key("jobs.up", "up,k", "move(-1)", "up", "Job above", "jobs"),
    Key("jobs.down", "down,j", "move(1)", "down", "Job below", "jobs"),
    Key("jobs.first", "g,home", "move(-1000000)", "first", "First job", "jobs"),
    Key("jobs.last", "G,end", "move(1000000)", "last", "Last job", "jobs"),
    Key("jobs.leave", "escape,tab", "leave", "write", "Back to writing; the panel stays", "jobs", True),
    Key("job_form.review", "enter", "review", "review", "Look at the price before anything is sent", "job_form", True),
    Key("job_form.next", "down,tab", "next", "next", "Next field; Tab takes what is offered first", "job_form", True),
    Key("job_form.previous", "up,shift+tab", "previous", "previous", "Field above", "job_form"),
    Key("job_form.folders", "ctrl+t", "folders", "folders", "Choose in a tree of folders", "job_form", True),
    Key("job_form.editor", "ctrl+o", "editor", "editor", "Write the prompt in $EDITOR", "job_form", True),
    Key(
        "job_form.leave",
        "escape",
        "leave",
        "close",
        "Back to the list of jobs; what is filled in stays",
        "job_form",
        True,
    ),
    Key("job_review.next", "right,down", "next(1)", "next", "Next button", "job_review"),
    Key("job_review.previous", "left,up", "next(-1)", "previous", "Button before", "job_review"),
    Key("job_review.page_up", "pageup", "page(-1)", "page up", "Scroll up", "job_review"),
    Key("job_review.page_down", "pagedown", "page(1)", "page down", "Scroll down", "job_review"),
    Key("job_review.compare", "c", "compare", "compare", "Live, desk and batch side by side", "job_review", True),
    Key("job_review.back", "escape", "back", "back", "Back to the form", "job_review", True),
    Key("job.read", "enter", "read", "read", "Read the result beside its source, at full width, and back", "job", True),
    Key(
        "job.retry",
        "r",
        "retry",
        "retry",
        "Send failed documents or those in doubt again, after a question",
        "job",
        True,
    ),
    Key("job.skip", "s", "skip", "skip", "Leave failed documents or those in doubt out", "job", True),
    Key("job.accept", "a", "accept", "accept", "Take the part that arrived as the result", "job", True),
    Key("job.chat", "o", "chat", "as chat", "Go on with the document and its result in a new chat", "job", True),
    Key("job.export", "e", "export", "export", "Write the results to a file or a folder", "job", True),
    Key("job.copy", "y", "copy", "copy", "Copy the result", "job"),
    Key("job.parts", "right", "parts", "parts", "The parts of a long document", "job", True),
    Key("job.whole", "left", "whole", "documents", "Back from the parts to the documents", "job", True),
    Key("job.filter", "f", "next_filter", "filter", "Next filter", "job", True),
    Key("job.all", "1", "filter('all')", "all", "All documents", "job"),
    Key("job.done", "2", "filter('done')", "done", "Documents that are done", "job"),
    Key("job.failed", "3", "filter('failed')", "failed", "Documents that failed", "job"),
    Key("job.doubt", "4", "filter('doubt')", "in doubt", "Documents in doubt", "job"),
    Key("job.open", "5", "filter('open')", "open", "Documents that are not finished", "job"),
    Key("job.causes", "6", "filter('causes')", "causes", "What went wrong, grouped by cause", "job"),
    Key("job.pause", "p", "pause", "pause", "Pause the job, or let it go on", "job", True),
    Key("job.cancel", "x", "cancel", "cancel", "Cancel the job, after a question", "job", True),
    Key("job.pane", "tab", "next_pane", "next pane", "On to the source, the result, the list", "job"),
    Key("job.help", "f1", "help", "help", "Help", "job", True),
    Key(
        "job.close", "escape", "close", "back", "Back from reading to the list, from the list to the chat", "job", True
    ),
    Key("folders.choose", "enter", "choose", "choose", "Take the marked file or folder", "folders", True),
    Key("folders.unfold", "space,right", "unfold", "unfold", "Unfold or fold a folder", "folders", True),
    Key("folders.up", "backspace,left", "parent", "parent", "The folder above", "folders", True),
    Key("costs.earlier", "left,h", "day(-1)", "earlier", "The day before", "costs", True),
    Key("costs.later", "right,l", "day(1)", "later", "The day after", "costs", True),
    Key("costs.month_before", "pageup,p", "month(-1)", "month before", "The month before", "costs", True),
    Key("costs.month_after", "pagedown,n", "month(1)", "month after", "The month after", "costs", True),
    Key("replaced.older", "left,h", "step(-1)", "older", "The one that was written before", "replaced", True),
    Key("replaced.newer", "right,l", "step(1)", "newer", "The one that was written after", "replaced", True),
    Key("replaced.copy", "y", "copy", "copy", "Copy it", "replaced", True),
    Key("replaced.save", "s", "save", "save", "Save it to a file", "replaced", True),
    Key("dialog.close", "escape", "close", "close", "Close without changing anything", "dialog", True),
)

_MODIFIERS = frozenset({"ctrl", "alt", "shift", "super", "hyper", "meta"})


def bindings(scope: Scope) -> list[BindingType]:
    """Textual bindings of a scope, with ids, so that the app's keymap can move them."""
    from textual.binding import Binding

    return [
        Binding(key.keys, key.action, key.label, id=key.id, show=key.show, priority=key.priority, tooltip=key.help)
        for key in KEYS
        if key.scope == scope
    ]


def actions_by_key(scope: Scope, remapped: Mapping[str, str]) -> dict[str, str]:
    """Action of every key of a scope, the person's own keys in force."""
    keys = keys_in_force(remapped)
    return {key: row.action for row in KEYS if row.scope == scope for key in keys[row.id]}


def keys_in_force(remapped: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Keys of every id: the person's own, else the default ones."""
    return {key.id: split_keys(remapped.get(key.id) or key.keys) for key in KEYS}


def split_keys(keys: str) -> tuple[str, ...]:
    """`"g, home"` as `("g", "home")`."""
    return tuple(part.strip() for part in keys.split(",") if part.strip())


def check_keymap(remapped: Mapping[str, str]) -> dict[str, str]:
    """The person's keymap, ready for Textual.

    Raises:
        SettingsError: An unknown id, a key that does not exist, or one key for two things in the same place.
    """
    known = {key.id: key for key in KEYS}
    hint = "Remove the line to get the default back; then F1 in the app lists the ids and the keys."
    for binding_id, keys in remapped.items():
        if binding_id not in known:
            raise SettingsError(f'config.toml [keys]: there is no "{binding_id}"{_nearest(binding_id, known)}', hint)
        if not split_keys(keys):
            raise SettingsError(f'config.toml [keys]: "{binding_id}" has no key', hint)
        for key in split_keys(keys):
            if not is_key(key):
                raise SettingsError(f'config.toml [keys]: "{binding_id}": "{key}" is not the name of a key', hint)
    taken: dict[tuple[str, str], str] = {}
    for binding_id, all_keys in keys_in_force(remapped).items():
        for key in all_keys:
            other = taken.setdefault((known[binding_id].scope, key), binding_id)
            if other != binding_id:
                raise SettingsError(f'config.toml [keys]: "{key}" is both "{other}" and "{binding_id}"', hint)
    return {binding_id: ",".join(split_keys(keys)) for binding_id, keys in remapped.items()}


def is_key(name: str) -> bool:
    """Whether a terminal can send a key of this name: `f2`, `ctrl+x`, `G`, `question_mark`."""
    *modifiers, base = name.split("+") if name != "+" else ["plus"]
    return set(modifiers) <= _MODIFIERS and (len(base) == 1 or base in _key_names())


@lru_cache(1)
def _key_names() -> frozenset[str]:
    from textual.keys import Keys, _character_to_key  # the naming rule of Textual is not public

    plain = {key.value.rsplit("+", 1)[-1] for key in Keys if not key.value.startswith("<")}
    return frozenset(plain | {_character_to_key(chr(code)) for code in range(0x20, 0x7F)})


def _nearest(word: str, known: Mapping[str, Key]) -> str:
    from difflib import get_close_matches

    match = get_close_matches(word, known, 1)
    return f', did you mean "{match[0]}"?' if match else ""


_NAMES = {
    "escape": "Esc",
    "enter": "Enter",
    "tab": "Tab",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "delete": "Del",
    "home": "Home",
    "end": "End",
    "space": "Space",
    "backspace": "Backspace",
}


def key_label(key: str, short: bool = False) -> str:
    """A key as people write it: `Ctrl+N`, or `^N` where there is little room."""
    *modifiers, base = key.split("+")
    name = _NAMES.get(base) or (base.upper() if base[:1] == "f" and base[1:].isdigit() else base)
    if modifiers and len(name) == 1:
        name = name.upper()
    if short and modifiers == ["ctrl"]:
        return f"^{name}"
    return "+".join([*(part.capitalize() for part in modifiers), name.replace("_", " ")])
