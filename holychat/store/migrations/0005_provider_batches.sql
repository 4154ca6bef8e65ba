-- Batches at a provider: what was handed over, and what is known of it.
--
-- The intent of each POST is a row before its first byte leaves. The token goes with the file's name and the batch's
-- metadata, so that after a crash what is at the provider is found and adopted instead of being handed over again.

CREATE TABLE submissions (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id         INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    token          TEXT    NOT NULL UNIQUE,
    state          TEXT    NOT NULL CHECK (state IN ('file_intent', 'file_uploaded', 'create_intent', 'created', 'ended',
                                                     'ingested', 'refused')),
    provider       TEXT    NOT NULL,
    model          TEXT    NOT NULL,
    lines          INTEGER NOT NULL CHECK (lines > 0),
    bytes          INTEGER NOT NULL CHECK (bytes > 0),
    tokens         INTEGER NOT NULL CHECK (tokens >= 0),       -- estimate of the input, for the limit on queued tokens
    input_file_id  TEXT    NOT NULL DEFAULT '',
    batch_id       TEXT    NOT NULL DEFAULT '',
    output_file_id TEXT    NOT NULL DEFAULT '',
    error_file_id  TEXT    NOT NULL DEFAULT '',
    remote_status  TEXT    NOT NULL DEFAULT '',                -- the provider's own word
    remote_done    INTEGER NOT NULL DEFAULT 0,
    remote_failed  INTEGER NOT NULL DEFAULT 0,
    cancelling     INTEGER NOT NULL DEFAULT 0 CHECK (cancelling IN (0, 1)),
    cleaned        INTEGER NOT NULL DEFAULT 0 CHECK (cleaned IN (0, 1)),   -- its files at the provider are deleted
    polls          INTEGER NOT NULL DEFAULT 0,
    poll_ms        INTEGER,                                    -- not asked again before; NULL: nothing to ask
    created_ms     INTEGER NOT NULL,
    expires_ms     INTEGER,                                    -- the end of the provider's window
    ended_ms       INTEGER,
    failure        TEXT    CHECK (json_valid(failure)),
    CHECK (state NOT IN ('file_uploaded', 'create_intent', 'created', 'ended') OR input_file_id <> ''),
    CHECK (state NOT IN ('created', 'ended') OR batch_id <> '')
) STRICT;

CREATE INDEX submissions_open ON submissions (poll_ms) WHERE state NOT IN ('ingested', 'refused');
CREATE INDEX submissions_by_job ON submissions (job_id, id);

-- An item that is sent within a batch knows which one; nothing but the end of that batch decides what became of it.
ALTER TABLE items ADD COLUMN submission_id INTEGER REFERENCES submissions (id) ON DELETE SET NULL;
CREATE INDEX items_by_submission ON items (submission_id) WHERE submission_id IS NOT NULL;

-- What was found out about a provider, so that it is not asked every time.
CREATE TABLE batch_services (
    provider   TEXT PRIMARY KEY,
    base_url   TEXT    NOT NULL,
    offered    INTEGER NOT NULL CHECK (offered IN (0, 1)),
    checked_ms INTEGER NOT NULL
) STRICT;
