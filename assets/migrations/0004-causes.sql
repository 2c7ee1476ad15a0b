-- Causes: failed tries that met the same fault. What makes them the same, the program knows; it also fills these in for a store that has failures.

CREATE TABLE cause (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint BLOB NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
    code        INTEGER,
    enhanced    TEXT,
    text        TEXT NOT NULL,
    server      TEXT,
    phase       TEXT,
    -- Of tries, whatever became of their receivers since.
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL
) STRICT;

-- The cause of the last try that has ended; NULL when there is none, or when it was accepted.
ALTER TABLE receiver ADD COLUMN cause_id INTEGER REFERENCES cause (id);
CREATE INDEX receiver_cause ON receiver (cause_id, state, id) WHERE cause_id IS NOT NULL;

-- Receivers per cause, backend, type and state: exact, kept by the triggers below. No row means none.
CREATE TABLE cause_counter (
    cause_id   INTEGER NOT NULL,
    backend_id INTEGER NOT NULL,
    kind_id    INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    n          INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (cause_id, backend_id, kind_id, state)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER receiver_cause_insert AFTER INSERT ON receiver WHEN new.cause_id IS NOT NULL BEGIN
    INSERT INTO cause_counter (cause_id, backend_id, kind_id, state, n) VALUES (new.cause_id, new.backend_id, new.kind_id, new.state, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER receiver_cause_left AFTER UPDATE OF state, cause_id ON receiver
WHEN old.cause_id IS NOT NULL AND (old.cause_id IS NOT new.cause_id OR old.state <> new.state) BEGIN
    UPDATE cause_counter SET n = n - 1
        WHERE cause_id = old.cause_id AND backend_id = old.backend_id AND kind_id = old.kind_id AND state = old.state;
    DELETE FROM cause_counter
        WHERE cause_id = old.cause_id AND backend_id = old.backend_id AND kind_id = old.kind_id AND state = old.state AND n = 0;
END;
CREATE TRIGGER receiver_cause_met AFTER UPDATE OF state, cause_id ON receiver
WHEN new.cause_id IS NOT NULL AND (old.cause_id IS NOT new.cause_id OR old.state <> new.state) BEGIN
    INSERT INTO cause_counter (cause_id, backend_id, kind_id, state, n) VALUES (new.cause_id, new.backend_id, new.kind_id, new.state, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER receiver_cause_delete AFTER DELETE ON receiver WHEN old.cause_id IS NOT NULL BEGIN
    UPDATE cause_counter SET n = n - 1
        WHERE cause_id = old.cause_id AND backend_id = old.backend_id AND kind_id = old.kind_id AND state = old.state;
    DELETE FROM cause_counter
        WHERE cause_id = old.cause_id AND backend_id = old.backend_id AND kind_id = old.kind_id AND state = old.state AND n = 0;
END;
