-- Questions of chats that were asked for later: on the desk or in the provider's batch.
--
-- The question is a message, what was ordered for it is a job with one item, the answer will be a message. All three are
-- tied together here and nowhere else. What the answer cost is counted with the job's attempts, so the message has none.

CREATE TABLE asked_later (
    question_id INTEGER PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    job_id      INTEGER NOT NULL,                 -- no reference: people were told the number, it outlives the job
    item_id     INTEGER UNIQUE REFERENCES items (id) ON DELETE SET NULL,
    answer_id   INTEGER UNIQUE REFERENCES messages (id) ON DELETE SET NULL,
    road        TEXT    NOT NULL CHECK (road IN ('desk', 'provider_batch')),
    seconds     INTEGER CHECK (seconds >= 0),     -- how long it was expected to take when it was asked
    told        TEXT    NOT NULL DEFAULT '',      -- state of the item that the answer tells of; '': there is none yet
    settled     INTEGER NOT NULL DEFAULT 0 CHECK (settled IN (0, 1))  -- the job has nothing more to say here
) STRICT, WITHOUT ROWID;

CREATE INDEX asked_later_open ON asked_later (item_id) WHERE settled = 0;
