-- The outbox of webhooks: one message per end of a job that has a callback_url.
--
-- The row is made by a trigger, in the transaction in which the job ends, so that no way of ending a job can forget it.
-- Ids, counts and money go out; no name, no text and no key.

CREATE TABLE webhooks (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id   TEXT    NOT NULL UNIQUE,               -- the same for every attempt: a receiver drops doubles by it
    job_id       INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    url          TEXT    NOT NULL,
    payload      TEXT    NOT NULL CHECK (json_valid(payload)),  -- exactly the bytes that are signed and sent
    state        TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'given_up')),
    attempts     INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_ms      INTEGER,                               -- not before; NULL: never again by itself
    last_status  INTEGER,
    last_error   TEXT    NOT NULL DEFAULT '',
    created_ms   INTEGER NOT NULL,
    delivered_ms INTEGER,
    CHECK ((state = 'pending') = (next_ms IS NOT NULL)),
    CHECK ((state = 'delivered') = (delivered_ms IS NOT NULL))
) STRICT;

CREATE INDEX webhooks_due ON webhooks (next_ms) WHERE state = 'pending';
CREATE INDEX webhooks_by_job ON webhooks (job_id, id);

CREATE TRIGGER jobs_tell_their_end AFTER UPDATE OF state ON jobs
WHEN new.callback_url <> '' AND new.state IN ('finished', 'finished_with_errors', 'cancelled')
    AND old.state NOT IN ('finished', 'finished_with_errors', 'cancelled')
BEGIN
    INSERT INTO webhooks (message_id, job_id, url, payload, next_ms, created_ms)
    VALUES (
        'msg_' || lower(hex(randomblob(16))), new.id, new.callback_url,
        json_object(
            'type', 'job.' || new.state,
            'timestamp', strftime('%Y-%m-%dT%H:%M:%fZ', new.updated_ms / 1000.0, 'unixepoch'),
            'data', json_object(
                'job_id', new.id,
                'state', new.state,
                'counts', json((
                    SELECT json_group_object(state, count) FROM job_counts
                    WHERE job_id = new.id AND parts = 0 AND count > 0
                )),
                'requests', new.requests,
                'input_tokens', new.input_tokens,
                'output_tokens', new.output_tokens,
                'cost_micros', new.spent_micros,
                'cost_estimated', json(iif(new.spent_estimated, 'true', 'false')),
                'answers_of_unknown_price', new.unpriced
            )
        ),
        new.updated_ms, new.updated_ms
    );
END;
