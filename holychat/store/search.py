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

import msgspec

from holychat.domain.chat import Role
from holychat.domain.search import ResultHit, SearchHit
from holychat.store.folding import fold, key, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holychat.domain.search import Hit, Pieces
    from holychat.store.database import Connection

_QUOTED_OR_WORD = re.compile(r'"([^"]*)"?|([^\s"]+)')
_WORD = re.compile(r"\w")
MOST_TERMS = 32
"""Words of a query that are looked at; SQLite bounds the depth of an expression, and nobody types so many."""
LONGEST_WALK = 20_000
"""Hits looked at to find those of one kind: a word said ten thousand times in a chat shall not hold up a key press."""
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
    index_results(connection, [(item_id, name, text)])


def index_results(connection: Connection, results: Sequence[tuple[int, str, str]]) -> None:
    """`index_result` for many: (item, name of its document, text) of each."""
    ids = _json([item_id for item_id, _, _ in results])
    # A DELETE, also of nothing, has FTS5 write out what it gathered: only where there is something to delete, then.
    among = "item_id IN (SELECT value FROM json_each(?))"
    if connection.execute(f"SELECT EXISTS (SELECT 1 FROM documents WHERE {among})", (ids,)).get:  # noqa: S608
        connection.execute(f"DELETE FROM documents WHERE {among}", (ids,))  # noqa: S608  # a literal
    connection.execute("INSERT INTO documents (item_id) SELECT value FROM json_each(?)", (ids,))
    connection.execute(
        """
        INSERT INTO search_index (rowid, words)
        SELECT d.id, e.value ->> 1 FROM json_each(?) AS e JOIN documents AS d ON d.item_id = e.value ->> 0
        """,
        (_json([(item_id, words(f"{name}\n{text}")) for item_id, name, text in results]),),
    )


def _json(rows: Sequence[object]) -> str:
    return msgspec.json.encode(rows).decode()


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


def find(connection: Connection, query: str, limit: int) -> list[Hit]:
    """Messages and results of jobs that hold every word of `query`, newest first."""
    expression = match_expression(query, typing=True)
    if not expression:
        return []
    terms = terms_of(query)
    rows = connection.execute(
        """
        SELECT d.message_id, d.item_id
        FROM search_index AS s
        JOIN documents AS d ON d.id = s.rowid
        LEFT JOIN items AS i ON i.id = d.item_id
        LEFT JOIN jobs AS j ON j.id = i.job_id
        WHERE s.search_index MATCH ? AND coalesce(j.deleted, 0) = 0
            -- An answer that a chat has is found there.
            AND NOT EXISTS (SELECT 1 FROM asked_later AS l WHERE l.item_id = d.item_id AND l.told = 'done')
        ORDER BY s.rowid DESC LIMIT ?
        """,
        (expression, limit),
    )
    return [
        _message_hit(connection, message_id, terms) if item_id is None else _result_hit(connection, item_id, terms)
        for message_id, item_id in list(rows)
    ]


def results(connection: Connection, query: str, limit: int) -> list[ResultHit]:
    """Results of jobs that hold every word of `query`, newest first."""
    expression = match_expression(query, typing=True)
    if not expression:
        return []
    rows = connection.execute(
        """
        SELECT d.item_id
        FROM (SELECT rowid FROM search_index WHERE search_index MATCH ? ORDER BY rowid DESC LIMIT ?) AS s
        JOIN documents AS d ON d.id = s.rowid
        JOIN items AS i ON i.id = d.item_id
        JOIN jobs AS j ON j.id = i.job_id
        WHERE j.deleted = 0 ORDER BY s.rowid DESC LIMIT ?
        """,
        (expression, LONGEST_WALK, limit),
    )
    terms = terms_of(query)
    return [_result_hit(connection, item_id, terms) for (item_id,) in list(rows)]


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


def _message_hit(connection: Connection, message_id: int, terms: list[str]) -> SearchHit:
    chat_id, title, role, created_ms, replaced = connection.execute(
        """
        SELECT c.id, c.title, m.role, m.created_ms, m.position IS NULL
        FROM messages AS m JOIN chats AS c ON c.id = m.chat_id WHERE m.id = ?
        """,
        (message_id,),
    ).get
    return SearchHit(
        chat_id=chat_id,
        title=title,
        message_id=message_id,
        role=Role(role),
        pieces=snippet(text_of(connection, message_id), terms),
        created_ms=created_ms,
        replaced=bool(replaced),
    )


def _result_hit(connection: Connection, item_id: int, terms: list[str]) -> ResultHit:
    job_id, job_name, name, updated_ms, text = connection.execute(
        """
        SELECT j.id, j.name, i.name, i.updated_ms, substr(t.result, 1, ?)
        FROM items AS i JOIN jobs AS j ON j.id = i.job_id LEFT JOIN item_texts AS t ON t.item_id = i.id WHERE i.id = ?
        """,
        (_READ_FOR_SNIPPET, item_id),
    ).get
    pieces = snippet(text or "", terms)
    if not any(found for _, found in pieces):
        # It was found by the name of the document.
        pieces = snippet(name, terms) if terms else pieces
    return ResultHit(job_id, job_name, item_id, name, pieces, updated_ms)


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
