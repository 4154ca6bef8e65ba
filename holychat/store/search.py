"""The full-text index: what goes in, and how people's words find it again.

The index is contentless: it is handed folded words (store/folding.py) and keeps no text, so Chinese, Japanese and Thai
are found by any one or more of their characters, Vietnamese with or without its marks, and a message can be taken out
without knowing what it once said. Measured over 200,000 messages (133 MB of English, Vietnamese and Chinese): this
index takes 0.88 of the size of the text and 23 s to build; FTS5's trigram tokenizer takes 3.2 times the text and 74 s,
and does not find words of two characters, which most Chinese words are. `prefix = '2'` keeps the first letters of a
word from costing 40 ms (0.2 ms with it); a prefix index for three letters would add 0.36 of the text to save 8 ms.

Hits come newest first: FTS5 walks its rows in that order without looking at the rest, whereas ranking a common word
has to visit every message that holds it, at each key press.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from holychat.domain.chat import Role
from holychat.domain.search import SearchHit
from holychat.store.folding import fold, key, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holychat.domain.search import Pieces
    from holychat.store.database import Connection

_QUOTED_OR_WORD = re.compile(r'"([^"]*)"?|([^\s"]+)')
_WORD = re.compile(r"\w")
MOST_TERMS = 32
"""Words of a query that are looked at; SQLite bounds the depth of an expression, and nobody types so many."""
_SHORTEST_PREFIX = 2
_BEFORE = 30
_SNIPPET = 120
_READ_FOR_SNIPPET = 200_000
_FLAT = str.maketrans("\n\r\t", "   ")


def index_message(connection: Connection, message_id: int, text: str) -> None:
    """Put a message into the index, or take its new text in place of the old one."""
    forget_message(connection, message_id)
    if not text:
        return
    connection.execute("INSERT INTO documents (message_id) VALUES (?)", (message_id,))
    rowid = connection.last_insert_rowid()
    connection.execute("INSERT INTO search_index (rowid, words) VALUES (?, ?)", (rowid, words(text)))


def forget_message(connection: Connection, message_id: int) -> None:
    """Take a message out of the index."""
    connection.execute("DELETE FROM documents WHERE message_id = ?", (message_id,))


def index_result(connection: Connection, item_id: int, name: str, text: str) -> None:
    """Put the result of a job's item into the index, with the name of its document; in place of an older result."""
    connection.execute("DELETE FROM documents WHERE item_id = ?", (item_id,))
    connection.execute("INSERT INTO documents (item_id) VALUES (?)", (item_id,))
    rowid = connection.last_insert_rowid()
    connection.execute("INSERT INTO search_index (rowid, words) VALUES (?, ?)", (rowid, words(f"{name}\n{text}")))


def terms_of(query: str) -> list[str]:
    """What a person typed, as folded words and quoted phrases; pieces without a letter or digit are left out."""
    found = ((phrase or word).strip() for phrase, word in _QUOTED_OR_WORD.findall(key(query)))
    return list(islice((term for term in found if _WORD.search(term)), MOST_TERMS))


def match_expression(query: str, *, typing: bool) -> str:
    """An FTS5 expression that is never a syntax error, or "" where there is nothing to look for.

    Args:
        query: What the person typed: words, all of which must occur, and "quoted phrases".
        typing: Whether the last word may be the beginning of one.
    """
    terms = [" ".join(words(term).replace("\0", " ").split()) for term in terms_of(query)]
    if not terms:
        return ""
    quoted = [f'"{term}"' for term in terms]
    unfinished = typing and not query[-1:].isspace() and query[-1:] != '"'
    if unfinished and len(terms[-1]) >= _SHORTEST_PREFIX:
        quoted[-1] += " *"
    return " ".join(quoted)


def find(connection: Connection, query: str, limit: int) -> list[SearchHit]:
    """Messages that hold every word of `query`, newest first."""
    expression = match_expression(query, typing=True)
    if not expression:
        return []
    terms = terms_of(query)
    rows = connection.execute(
        """
        SELECT c.id, c.title, m.id, m.role, m.created_ms, m.position IS NULL
        FROM search_index AS s
        JOIN documents AS d ON d.id = s.rowid
        JOIN messages AS m ON m.id = d.message_id
        JOIN chats AS c ON c.id = m.chat_id
        WHERE s.search_index MATCH ? ORDER BY s.rowid DESC LIMIT ?
        """,
        (expression, limit),
    )
    return [
        SearchHit(
            chat_id=chat_id,
            title=title,
            message_id=message_id,
            role=Role(role),
            pieces=snippet(text_of(connection, message_id), terms),
            created_ms=created_ms,
            replaced=bool(replaced),
        )
        for chat_id, title, message_id, role, created_ms, replaced in list(rows)
    ]


def matches(connection: Connection, expression: str) -> Iterator[tuple[int, int]]:
    """(chat id, message id) of messages that match, newest first, as lazily as they are asked for."""
    yield from connection.execute(
        """
        SELECT m.chat_id, m.id
        FROM search_index AS s
        JOIN documents AS d ON d.id = s.rowid
        JOIN messages AS m ON m.id = d.message_id
        WHERE s.search_index MATCH ? ORDER BY s.rowid DESC
        """,
        (expression,),
    )


def text_of(connection: Connection, message_id: int) -> str:
    """The beginning of a message's text and the names of its files, as much as a snippet needs."""
    row = connection.execute(
        """
        SELECT group_concat(coalesce(substr(text, 1, ?), name), char(10) ORDER BY ordinal)
        FROM parts WHERE message_id = ? AND kind <> 'reasoning'
        """,
        (_READ_FOR_SNIPPET, message_id),
    ).get
    return row or ""


def snippet(text: str, terms: list[str]) -> Pieces:
    """One line around the first place where a term occurs, the terms in it marked."""
    pattern = re.compile("|".join(re.escape(term) for term in sorted(terms, key=len, reverse=True)) or r"(?!)")
    folded = fold(text)
    first = pattern.search(folded)
    start = max(0, first.start() - _BEFORE) if first else 0
    if start:
        start = text.find(" ", start, first.start() if first else start) + 1 or start
    end = min(len(text), start + _SNIPPET)
    line, folded_line = text[start:end].translate(_FLAT), folded[start:end]
    pieces: list[tuple[str, bool]] = [("…", False)] if start else []
    last = 0
    for match in pattern.finditer(folded_line):
        if match.start() > last:
            pieces.append((line[last : match.start()], False))
        pieces.append((line[match.start() : match.end()], True))
        last = match.end()
    if last < len(line):
        pieces.append((line[last:], False))
    if end < len(text):
        pieces.append(("…", False))
    return tuple(pieces)
