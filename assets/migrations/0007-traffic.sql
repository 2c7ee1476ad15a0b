-- How many tries ended when: what a rate and a day's graph are drawn from, without a look at the attempts themselves.

-- Per minute (minutes since 1970, when the end was known) and backend. Of the last 25 hours: the first entry of a minute takes away those older.
CREATE TABLE traffic (
    minute     INTEGER NOT NULL,
    backend_id INTEGER NOT NULL,
    accepted   INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    PRIMARY KEY (minute, backend_id)
) STRICT, WITHOUT ROWID;
INSERT INTO traffic (minute, backend_id, accepted, failed)
    SELECT ended_at / 60000, backend_id, sum(outcome = 'accepted'), sum(outcome <> 'accepted')
    FROM attempt JOIN receiver ON receiver.id = receiver_id WHERE outcome <> 'cancelled' GROUP BY 1, 2;
DELETE FROM traffic WHERE minute < (SELECT max(minute) FROM traffic) - 1500;

CREATE TRIGGER attempt_traffic_whole AFTER INSERT ON attempt WHEN new.outcome <> 'cancelled' BEGIN
    INSERT INTO traffic (minute, backend_id, accepted, failed)
        SELECT new.ended_at / 60000, backend_id, new.outcome = 'accepted', new.outcome <> 'accepted' FROM receiver WHERE id = new.receiver_id
        ON CONFLICT DO UPDATE SET accepted = accepted + excluded.accepted, failed = failed + excluded.failed;
END;
CREATE TRIGGER attempt_traffic_ended AFTER UPDATE OF outcome ON attempt WHEN old.outcome IS NULL AND new.outcome <> 'cancelled' BEGIN
    INSERT INTO traffic (minute, backend_id, accepted, failed)
        SELECT new.ended_at / 60000, backend_id, new.outcome = 'accepted', new.outcome <> 'accepted' FROM receiver WHERE id = new.receiver_id
        ON CONFLICT DO UPDATE SET accepted = accepted + excluded.accepted, failed = failed + excluded.failed;
END;
CREATE TRIGGER traffic_old AFTER INSERT ON traffic BEGIN
    DELETE FROM traffic WHERE minute < new.minute - 1500;
END;
