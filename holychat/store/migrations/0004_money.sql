-- What was spent, by quarter of an hour, and what was learned of how models count tokens.
--
-- The sums are kept by triggers in the transaction that keeps the cost, so that they cannot differ from it; they stay
-- when a chat or a job is deleted, because the money does not come back. Every time zone's days begin on a quarter of an
-- hour, so a day of any place is a sum of whole rows. Nothing here grows with the number of requests, only with time.

CREATE TABLE spending (
    quarter       INTEGER NOT NULL,                     -- quarter hours since 1970 in UTC: when the request was sent
    chat_id       INTEGER NOT NULL,                     -- 0: none; no reference, the chat may be gone
    job_id        INTEGER NOT NULL,                     -- 0: none
    provider      TEXT    NOT NULL,
    model         TEXT    NOT NULL,
    requests      INTEGER NOT NULL,
    estimated     INTEGER NOT NULL,                     -- requests whose cost is estimated
    unknown       INTEGER NOT NULL,                     -- requests whose cost is not known, and so not in micros
    micros        INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    PRIMARY KEY (quarter, chat_id, job_id, provider, model)
) STRICT, WITHOUT ROWID;

CREATE INDEX spending_of_chats ON spending (chat_id) WHERE chat_id <> 0;
CREATE INDEX spending_of_jobs  ON spending (job_id) WHERE job_id <> 0;

-- An answer that is reopened adds to what it had: the difference is spent when the chat was last touched, which the
-- beginning of every answer does.
CREATE TRIGGER messages_are_spent AFTER UPDATE OF state ON messages
WHEN new.role = 'assistant' AND new.state <> 'streaming' AND (new.cost_micros IS NOT old.cost_micros
    OR new.input_tokens IS NOT old.input_tokens OR new.output_tokens IS NOT old.output_tokens)
BEGIN
    INSERT INTO spending
    SELECT updated_ms / 900000, id, 0, new.provider, new.model, 1,
        new.cost_micros IS NOT NULL AND new.cost_estimated, new.cost_micros IS NULL,
        coalesce(new.cost_micros, 0) - coalesce(old.cost_micros, 0),
        coalesce(new.input_tokens, 0) - coalesce(old.input_tokens, 0),
        coalesce(new.output_tokens, 0) - coalesce(old.output_tokens, 0)
    FROM chats WHERE id = new.chat_id
    ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, estimated = estimated + excluded.estimated,
        unknown = unknown + excluded.unknown, micros = micros + excluded.micros,
        input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens;
END;

-- An attempt of a job is settled when its reply was read: it has a cost, or the cost is known to be unknown.
CREATE TRIGGER attempts_are_spent AFTER UPDATE OF cost_micros ON attempts
WHEN new.cost_micros IS NOT NULL OR (new.outcome = 'answered' AND (new.raw IS NULL OR new.failure IS NOT NULL))
BEGIN
    INSERT INTO spending
    SELECT new.sent_ms / 900000, 0, j.id, j.provider, j.model, NOT was.settled,
        (new.cost_micros IS NOT NULL AND new.cost_estimated) - (old.cost_micros IS NOT NULL AND old.cost_estimated),
        (new.cost_micros IS NULL) - (was.settled AND old.cost_micros IS NULL),
        coalesce(new.cost_micros, 0) - coalesce(old.cost_micros, 0),
        coalesce(new.input_tokens, 0) - was.settled * coalesce(old.input_tokens, 0),
        coalesce(new.output_tokens, 0) - was.settled * coalesce(old.output_tokens, 0)
    FROM items AS i JOIN jobs AS j ON j.id = i.job_id JOIN (
        SELECT coalesce(old.cost_micros IS NOT NULL OR (old.outcome = 'answered'
            AND (old.raw IS NULL OR old.failure IS NOT NULL)), 0) AS settled
    ) AS was
    WHERE i.id = new.item_id
    ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, estimated = estimated + excluded.estimated,
        unknown = unknown + excluded.unknown, micros = micros + excluded.micros,
        input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens;
END;

-- What may have been billed and is not settled: under way, not read yet, or nobody knows.
CREATE INDEX attempts_unsettled ON attempts (sent_ms, worst_micros)
WHERE cost_micros IS NULL AND (outcome IS NULL OR outcome = 'ambiguous'
    OR (outcome = 'answered' AND raw IS NOT NULL AND failure IS NULL));

INSERT INTO spending
SELECT created_ms / 900000, chat_id, 0, provider, model, count(*), sum(cost_micros IS NOT NULL AND cost_estimated),
    sum(cost_micros IS NULL), sum(coalesce(cost_micros, 0)), sum(coalesce(input_tokens, 0)),
    sum(coalesce(output_tokens, 0))
FROM messages
WHERE role = 'assistant' AND state <> 'streaming'
    AND coalesce(cost_micros, input_tokens, output_tokens) IS NOT NULL
GROUP BY created_ms / 900000, chat_id, provider, model;

-- How models count: reported tokens to those that we count, see catalog/calibration.py.
CREATE TABLE calibrations (
    model      TEXT    PRIMARY KEY,
    ratio      REAL    NOT NULL CHECK (ratio BETWEEN 0.5 AND 2.0),
    error      REAL    NOT NULL CHECK (error BETWEEN 0.0 AND 1.0),
    samples    INTEGER NOT NULL CHECK (samples >= 1),
    updated_ms INTEGER NOT NULL
) STRICT;
