-- Chats, their messages, and the index that finds them.
--
-- What can be said by a constraint is said by one: a reply that is arriving has an owner and nothing else has, a chat has
-- at most one such reply, a message that left the conversation has no position, a person's message is complete.

CREATE TABLE chats (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,   -- never used again: people write these numbers down
    title       TEXT    NOT NULL DEFAULT '',
    title_key   TEXT    NOT NULL DEFAULT '',         -- the title folded for searching, see store/folding.py
    provider    TEXT    NOT NULL,
    model       TEXT    NOT NULL DEFAULT '',
    system      TEXT    NOT NULL DEFAULT '',
    temperature REAL,
    max_tokens  INTEGER CHECK (max_tokens > 0),
    draft       TEXT    NOT NULL DEFAULT '',
    unseen      INTEGER NOT NULL DEFAULT 0 CHECK (unseen IN (0, 1)),  -- an answer broke off and nobody has looked since
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER NOT NULL
) STRICT;

CREATE INDEX chats_by_activity ON chats (updated_ms DESC, id DESC);

CREATE TABLE messages (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    chat_id             INTEGER NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    seq                 INTEGER NOT NULL CHECK (seq >= 1),       -- order of writing, replaced messages included
    position            INTEGER CHECK (position >= 0),           -- place in the conversation; NULL: replaced
    role                TEXT    NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
    state               TEXT    NOT NULL CHECK (state IN ('streaming', 'complete', 'stopped', 'interrupted', 'failed')),
    owner               TEXT,                                    -- the process that is writing it, see store/owners.py
    created_ms          INTEGER NOT NULL,
    provider            TEXT    NOT NULL DEFAULT '',
    model               TEXT    NOT NULL DEFAULT '',
    finish_reason       TEXT    NOT NULL DEFAULT '',
    request_id          TEXT    NOT NULL DEFAULT '',
    input_tokens        INTEGER CHECK (input_tokens >= 0),
    output_tokens       INTEGER CHECK (output_tokens >= 0),
    cached_input_tokens INTEGER CHECK (cached_input_tokens >= 0),
    reasoning_tokens    INTEGER CHECK (reasoning_tokens >= 0),
    usage_estimated     INTEGER NOT NULL DEFAULT 0 CHECK (usage_estimated IN (0, 1)),
    cost_micros         INTEGER CHECK (cost_micros >= 0),        -- micro-dollars; NULL: unknown
    cost_estimated      INTEGER NOT NULL DEFAULT 0 CHECK (cost_estimated IN (0, 1)),
    first_token_ms      INTEGER CHECK (first_token_ms >= 0),
    elapsed_ms          INTEGER CHECK (elapsed_ms >= 0),
    attempts            INTEGER NOT NULL DEFAULT 1 CHECK (attempts >= 0),
    failure             TEXT    CHECK (json_valid(failure)),
    UNIQUE (chat_id, seq),
    UNIQUE (chat_id, position),
    CHECK ((state = 'streaming') = (owner IS NOT NULL)),
    CHECK (state <> 'streaming' OR position IS NOT NULL),
    CHECK (state <> 'failed' OR failure IS NOT NULL),
    CHECK (role = 'assistant' OR state = 'complete')
) STRICT;

CREATE UNIQUE INDEX one_reply_at_a_time ON messages (chat_id) WHERE state = 'streaming';
CREATE INDEX messages_by_day ON messages (created_ms, cost_micros) WHERE cost_micros IS NOT NULL;

CREATE TABLE attachments (
    sha256 TEXT PRIMARY KEY CHECK (length(sha256) = 64),         -- of the file's bytes
    size   INTEGER NOT NULL CHECK (size >= 0),                   -- bytes of the file
    text   TEXT    NOT NULL
) STRICT;

CREATE TABLE parts (
    id         INTEGER PRIMARY KEY,
    message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    ordinal    INTEGER NOT NULL CHECK (ordinal >= 0),
    kind       TEXT    NOT NULL CHECK (kind IN ('text', 'reasoning', 'attachment')),
    text       TEXT,
    name       TEXT,
    path       TEXT,
    sha256     TEXT REFERENCES attachments (sha256),
    UNIQUE (message_id, ordinal),
    CHECK ((kind = 'attachment') = (text IS NULL)),
    CHECK ((kind = 'attachment') = (name IS NOT NULL AND path IS NOT NULL AND sha256 IS NOT NULL))
) STRICT;

CREATE INDEX parts_by_attachment ON parts (sha256) WHERE sha256 IS NOT NULL;

-- Text of a reply that is arriving. Rows are only added, so that a checkpoint costs what is new and not what is there;
-- the end of the turn turns them into parts.
CREATE TABLE chunks (
    id         INTEGER PRIMARY KEY,
    message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    kind       TEXT    NOT NULL CHECK (kind IN ('text', 'reasoning')),
    text       TEXT    NOT NULL
) STRICT;

CREATE INDEX chunks_by_message ON chunks (message_id, id);

-- What the full-text index knows. One row is one thing that can be found; results of jobs get a column of their own here
-- and come under the same index. Rows are numbered as they are indexed, so the newest are found first without sorting.
CREATE TABLE documents (
    id         INTEGER PRIMARY KEY,
    message_id INTEGER NOT NULL UNIQUE REFERENCES messages (id) ON DELETE CASCADE
) STRICT;

-- The index holds no text: store/folding.py hands it words, the messages keep the text. See store/search.py for why.
CREATE VIRTUAL TABLE search_index USING fts5 (
    words, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2', prefix = '2'
);

CREATE TRIGGER documents_leave_the_index AFTER DELETE ON documents BEGIN
    DELETE FROM search_index WHERE rowid = old.id;
END;
