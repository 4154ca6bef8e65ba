-- Background jobs: what was ordered, each item of it, each request that was sent for it.
--
-- A request's attempt is a row before its first byte leaves, its raw reply is kept before anything reads it. Counts are
-- kept by triggers, so that they cannot differ from the items and cost the same for ten items and a hundred thousand.

CREATE TABLE jobs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('draft', 'queued', 'running', 'paused', 'finishing', 'finished',
                                                      'finished_with_errors', 'cancelled')),
    pause           TEXT    CHECK (pause IN ('user', 'budget', 'key', 'quota', 'offline', 'trial', 'store')),
    pause_detail    TEXT    NOT NULL DEFAULT '',
    provider        TEXT    NOT NULL,
    model           TEXT    NOT NULL DEFAULT '',
    priority        TEXT    NOT NULL CHECK (priority IN ('high', 'medium', 'low')),
    recipe          TEXT    NOT NULL CHECK (json_valid(recipe)),
    sources         TEXT    NOT NULL CHECK (json_valid(sources)),
    limits          TEXT    NOT NULL CHECK (json_valid(limits)),
    budget_micros   INTEGER CHECK (budget_micros >= 0),
    out             TEXT    NOT NULL DEFAULT '',
    out_format      TEXT    NOT NULL DEFAULT '',
    callback_url    TEXT    NOT NULL DEFAULT '',
    chat_id         INTEGER REFERENCES chats (id) ON DELETE SET NULL,
    listed          INTEGER NOT NULL DEFAULT 0 CHECK (listed IN (0, 1)),
    note            TEXT    NOT NULL DEFAULT '',
    created_ms      INTEGER NOT NULL,
    started_ms      INTEGER,
    ended_ms        INTEGER,
    updated_ms      INTEGER NOT NULL,
    -- Sums over the attempts that were answered, kept in the transaction that keeps the answer.
    spent_micros    INTEGER NOT NULL DEFAULT 0 CHECK (spent_micros >= 0),
    spent_estimated INTEGER NOT NULL DEFAULT 0 CHECK (spent_estimated IN (0, 1)),
    unpriced        INTEGER NOT NULL DEFAULT 0 CHECK (unpriced >= 0),
    input_tokens    INTEGER NOT NULL DEFAULT 0,
    output_tokens   INTEGER NOT NULL DEFAULT 0,
    requests        INTEGER NOT NULL DEFAULT 0,
    doubts_retried  INTEGER NOT NULL DEFAULT 0,
    -- Worst case of requests in doubt whose items have moved on: sent again, skipped, accepted. Kept by a trigger.
    doubted_micros  INTEGER NOT NULL DEFAULT 0 CHECK (doubted_micros >= 0),
    -- Deleted by the person: nobody sees it any more, and its rows go in small transactions.
    deleted         INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
    -- What the worker last said of it.
    projected_micros INTEGER,
    in_flight        INTEGER NOT NULL DEFAULT 0,
    rate_per_minute  REAL,
    eta_early_ms     INTEGER,
    eta_late_ms      INTEGER,
    waiting_until_ms INTEGER,
    waiting_for      TEXT   NOT NULL DEFAULT '',
    CHECK ((state = 'paused') = (pause IS NOT NULL))
) STRICT;

CREATE INDEX jobs_at_work ON jobs (state, id) WHERE state NOT IN ('draft', 'finished', 'finished_with_errors', 'cancelled');

CREATE INDEX jobs_deleted ON jobs (id) WHERE deleted = 1;

CREATE TABLE items (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id          INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    ordinal         INTEGER NOT NULL CHECK (ordinal >= 0),
    parent_id       INTEGER REFERENCES items (id) ON DELETE CASCADE,   -- NULL: a document
    level           INTEGER NOT NULL DEFAULT 0 CHECK (level >= 0),
    part            INTEGER NOT NULL DEFAULT 0 CHECK (part >= 0),
    span_start      INTEGER,
    span_end        INTEGER,
    waiting_for     INTEGER NOT NULL DEFAULT 0 CHECK (waiting_for >= 0),
    source_key      TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    path            TEXT    NOT NULL DEFAULT '',
    custom_id       TEXT    NOT NULL DEFAULT '',
    size            INTEGER,
    mtime_ns        INTEGER,
    sha256          TEXT    NOT NULL DEFAULT '',
    state           TEXT    NOT NULL CHECK (state IN ('pending', 'sending', 'received', 'done', 'failed', 'in_doubt',
                                                      'skipped', 'cancelled')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    refusals        INTEGER NOT NULL DEFAULT 0,
    faults          INTEGER NOT NULL DEFAULT 0,
    repairs         INTEGER NOT NULL DEFAULT 0,
    reserved_micros INTEGER NOT NULL DEFAULT 0 CHECK (reserved_micros >= 0),
    input_tokens    INTEGER,
    output_tokens   INTEGER,
    usage_estimated INTEGER NOT NULL DEFAULT 0 CHECK (usage_estimated IN (0, 1)),
    cost_micros     INTEGER CHECK (cost_micros >= 0),
    cost_estimated  INTEGER NOT NULL DEFAULT 0 CHECK (cost_estimated IN (0, 1)),
    model           TEXT    NOT NULL DEFAULT '',
    finish_reason   TEXT    NOT NULL DEFAULT '',
    request_id      TEXT    NOT NULL DEFAULT '',
    elapsed_ms      INTEGER,
    failure         TEXT    CHECK (json_valid(failure)),
    cause           TEXT    NOT NULL DEFAULT '',       -- failures of one cause are shown together
    note            TEXT    NOT NULL DEFAULT '',
    updated_ms      INTEGER NOT NULL,
    UNIQUE (job_id, source_key),
    CHECK (state <> 'failed' OR failure IS NOT NULL),
    CHECK (waiting_for = 0 OR state IN ('pending', 'failed', 'skipped', 'cancelled')),
    CHECK (reserved_micros = 0 OR state IN ('sending', 'in_doubt'))
) STRICT;

CREATE INDEX items_in_order ON items (job_id, ordinal) WHERE parent_id IS NULL;
CREATE INDEX items_by_state ON items (job_id, state, ordinal) WHERE parent_id IS NULL;
CREATE INDEX items_to_send  ON items (job_id, ordinal, id) WHERE state = 'pending' AND waiting_for = 0;
-- One index for each of these: SQLite does not see that `state = 'sending'` is one of several states of an index.
CREATE INDEX items_sending  ON items (job_id, reserved_micros) WHERE state = 'sending';
CREATE INDEX items_received ON items (job_id) WHERE state = 'received';
CREATE INDEX items_in_doubt ON items (job_id, reserved_micros) WHERE state = 'in_doubt';
CREATE INDEX items_by_cause ON items (job_id, state, cause) WHERE parent_id IS NULL AND state IN ('failed', 'in_doubt');
CREATE INDEX items_by_parent ON items (parent_id, part) WHERE parent_id IS NOT NULL;

-- Long texts apart from the rows that are paged through.
CREATE TABLE item_texts (
    item_id INTEGER PRIMARY KEY REFERENCES items (id) ON DELETE CASCADE,
    content TEXT,                                       -- the text of a record, where there is no file to read it from
    body    TEXT CHECK (json_valid(body)),              -- a ready-made request
    result  TEXT,                                       -- the answer
    partial TEXT                                        -- what is legible of an answer that broke off
) STRICT;

CREATE TABLE attempts (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    item_id        INTEGER NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    number         INTEGER NOT NULL CHECK (number >= 1),
    owner          TEXT    NOT NULL,                    -- the worker that sent it
    request_sha256 TEXT    NOT NULL,                    -- of provider, model, parameters and prompt
    worst_micros   INTEGER CHECK (worst_micros >= 0),   -- NULL: the price is unknown
    sent_ms        INTEGER NOT NULL,
    ended_ms       INTEGER,
    outcome        TEXT    CHECK (outcome IN ('answered', 'never_sent', 'refused', 'fatal', 'auth', 'server_fault',
                                              'ambiguous')),  -- NULL: under way, or nobody knows
    status         INTEGER,
    request_id     TEXT    NOT NULL DEFAULT '',
    raw            BLOB,                                -- the reply as it came, until it was read
    input_tokens   INTEGER,
    output_tokens  INTEGER,
    cost_micros    INTEGER CHECK (cost_micros >= 0),
    cost_estimated INTEGER NOT NULL DEFAULT 0 CHECK (cost_estimated IN (0, 1)),
    failure        TEXT    CHECK (json_valid(failure)),
    UNIQUE (item_id, number)
) STRICT;

CREATE TABLE job_counts (
    job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    parts  INTEGER NOT NULL CHECK (parts IN (0, 1)),    -- 0: documents, 1: parts of documents
    state  TEXT    NOT NULL,
    count  INTEGER NOT NULL CHECK (count >= 0),
    PRIMARY KEY (job_id, parts, state)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER items_count_new AFTER INSERT ON items BEGIN
    INSERT INTO job_counts VALUES (new.job_id, new.parent_id IS NOT NULL, new.state, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER items_count_moved AFTER UPDATE OF state ON items WHEN old.state <> new.state BEGIN
    UPDATE job_counts SET count = count - 1
    WHERE job_id = old.job_id AND parts = (old.parent_id IS NOT NULL) AND state = old.state;
    INSERT INTO job_counts VALUES (new.job_id, new.parent_id IS NOT NULL, new.state, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER items_count_gone AFTER DELETE ON items BEGIN
    UPDATE job_counts SET count = count - 1
    WHERE job_id = old.job_id AND parts = (old.parent_id IS NOT NULL) AND state = old.state;
END;

CREATE TRIGGER items_leave_doubt AFTER UPDATE OF state ON items
WHEN old.state = 'in_doubt' AND new.state <> 'in_doubt' AND old.reserved_micros > 0 BEGIN
    UPDATE jobs SET doubted_micros = doubted_micros + old.reserved_micros WHERE id = old.job_id;
END;

CREATE TABLE templates (
    name     TEXT PRIMARY KEY,
    recipe   TEXT NOT NULL CHECK (json_valid(recipe)),
    provider TEXT NOT NULL DEFAULT '',
    model    TEXT NOT NULL DEFAULT '',
    updated_ms INTEGER NOT NULL
) STRICT;

-- The worker that is at work, for people to see; that it is alive is told by the file it has locked.
CREATE TABLE worker (
    only         INTEGER PRIMARY KEY CHECK (only = 1),
    owner        TEXT    NOT NULL,
    pid          INTEGER NOT NULL,
    started_ms   INTEGER NOT NULL,
    heartbeat_ms INTEGER NOT NULL,
    session_keys TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(session_keys)),  -- providers, never keys
    leave        INTEGER NOT NULL DEFAULT 0 CHECK (leave IN (0, 1))                -- asked to make room for another
) STRICT;

-- Results of jobs come under the same index as messages.
DROP TRIGGER documents_leave_the_index;
CREATE TABLE indexed_documents (
    id         INTEGER PRIMARY KEY,
    message_id INTEGER UNIQUE REFERENCES messages (id) ON DELETE CASCADE,
    item_id    INTEGER UNIQUE REFERENCES items (id) ON DELETE CASCADE,
    CHECK ((message_id IS NULL) <> (item_id IS NULL))
) STRICT;
INSERT INTO indexed_documents (id, message_id) SELECT id, message_id FROM documents;
DROP TABLE documents;
ALTER TABLE indexed_documents RENAME TO documents;
CREATE TRIGGER documents_leave_the_index AFTER DELETE ON documents BEGIN
    DELETE FROM search_index WHERE rowid = old.id;
END;
