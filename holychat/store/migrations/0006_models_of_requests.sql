-- A ready-made request may name a model of its own; what it costs, and under which model that is counted, goes by that.

ALTER TABLE attempts ADD COLUMN model TEXT NOT NULL DEFAULT '';   -- '': that of the job

DROP TRIGGER attempts_are_spent;
CREATE TRIGGER attempts_are_spent AFTER UPDATE OF cost_micros ON attempts
WHEN new.cost_micros IS NOT NULL OR (new.outcome = 'answered' AND (new.raw IS NULL OR new.failure IS NOT NULL))
BEGIN
    INSERT INTO spending
    SELECT new.sent_ms / 900000, 0, j.id, j.provider, iif(new.model = '', j.model, new.model), NOT was.settled,
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
