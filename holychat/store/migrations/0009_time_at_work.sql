-- How long a job was at work: neither its pauses, nor the time between its end and another try, nor without a worker.

ALTER TABLE jobs ADD COLUMN worked_ms INTEGER NOT NULL DEFAULT 0;
-- Since when it is at work now, as far as that is not part of worked_ms; NULL where it is not.
ALTER TABLE jobs ADD COLUMN at_work_ms INTEGER;

-- Of jobs that began before, all the time until their last move counts; nobody wrote down more.
UPDATE jobs SET worked_ms = max(0, coalesce(ended_ms, updated_ms) - started_ms) WHERE started_ms IS NOT NULL;
UPDATE jobs SET at_work_ms = updated_ms WHERE state IN ('running', 'finishing');
