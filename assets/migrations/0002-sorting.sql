-- What lists in other orders and questions for a time, a backend or a delivery report are served by.

-- Orders. Never sent: no entry, so that a submission writes none.
CREATE INDEX receiver_created ON receiver (created_at, id);
CREATE INDEX receiver_sent ON receiver (sent_at, id) WHERE sent_at IS NOT NULL;

-- Conditions, in the usual order.
CREATE INDEX receiver_backend ON receiver (backend_id, id);
CREATE INDEX receiver_delivery ON receiver (delivery, id) WHERE delivery IS NOT NULL;

-- Of each stretch of 4,096 ids (number: id >> 12) the earliest and the latest times, in steps of 2^22 ms (70 minutes, so that a stretch is written
-- seldom). A walk in the order of the id passes over stretches in which nothing can match. They only ever widen: a stretch that promises too much
-- costs a look, and every row is checked.
CREATE TABLE stretch (
    number       INTEGER PRIMARY KEY,
    created_from INTEGER NOT NULL,
    created_to   INTEGER NOT NULL,
    sent_from    INTEGER,
    sent_to      INTEGER,
    CHECK ((sent_from IS NULL) = (sent_to IS NULL))
) STRICT;
INSERT INTO stretch (number, created_from, created_to, sent_from, sent_to)
    SELECT id >> 12, min(created_at >> 22), max(created_at >> 22), min(sent_at >> 22), max(sent_at >> 22) FROM receiver GROUP BY 1;

CREATE TRIGGER receiver_stretch_insert AFTER INSERT ON receiver BEGIN
    INSERT INTO stretch (number, created_from, created_to, sent_from, sent_to)
        VALUES (new.id >> 12, new.created_at >> 22, new.created_at >> 22, new.sent_at >> 22, new.sent_at >> 22)
        ON CONFLICT DO UPDATE SET
            created_from = min(created_from, excluded.created_from),
            created_to = max(created_to, excluded.created_to),
            sent_from = min(coalesce(sent_from, excluded.sent_from), coalesce(excluded.sent_from, sent_from)),
            sent_to = max(coalesce(sent_to, excluded.sent_to), coalesce(excluded.sent_to, sent_to))
        WHERE excluded.created_from < created_from OR excluded.created_to > created_to OR excluded.sent_from IS NOT NULL;
END;
CREATE TRIGGER receiver_stretch_update AFTER UPDATE OF created_at, sent_at ON receiver
    WHEN new.created_at <> old.created_at OR (new.sent_at IS NOT NULL AND new.sent_at IS NOT old.sent_at) BEGIN
    UPDATE stretch SET
            created_from = min(created_from, new.created_at >> 22),
            created_to = max(created_to, new.created_at >> 22),
            sent_from = min(coalesce(sent_from, new.sent_at >> 22), coalesce(new.sent_at >> 22, sent_from)),
            sent_to = max(coalesce(sent_to, new.sent_at >> 22), coalesce(new.sent_at >> 22, sent_to))
        WHERE number = new.id >> 12
            AND (new.created_at <> old.created_at OR sent_from IS NULL OR new.sent_at >> 22 < sent_from OR new.sent_at >> 22 > sent_to);
END;
