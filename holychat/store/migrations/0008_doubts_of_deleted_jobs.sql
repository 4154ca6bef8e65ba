-- What may have been billed stays counted when its request is deleted: at its worst, as an estimate.
--
-- Before the row of an item goes, with its job, with the document it is a part of or because that was split anew, what
-- is not settled of it moves into the sums, in the same transaction; limits count the same before and after.

CREATE TRIGGER items_take_no_doubt_along BEFORE DELETE ON items BEGIN
    INSERT INTO spending
    SELECT a.sent_ms / 900000, 0, j.id, j.provider, iif(a.model = '', j.model, a.model), 1,
        coalesce(a.worst_micros > 0, 0), a.worst_micros IS NULL, coalesce(a.worst_micros, 0), 0, 0
    FROM attempts AS a JOIN jobs AS j ON j.id = old.job_id
    WHERE a.item_id = old.id AND a.cost_micros IS NULL AND (a.outcome IS NULL OR a.outcome = 'ambiguous'
        OR (a.outcome = 'answered' AND a.raw IS NOT NULL AND a.failure IS NULL))
    ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, estimated = estimated + excluded.estimated,
        unknown = unknown + excluded.unknown, micros = micros + excluded.micros;
END;

-- Rows that go by themselves with their job would find its provider and model gone.
CREATE TRIGGER jobs_go_after_their_items BEFORE DELETE ON jobs BEGIN
    DELETE FROM items WHERE job_id = old.id;
END;
