-- The first schema. Times are milliseconds since 1970 in UTC. Rules: the text "Delivery semantics" that the README's chapter
-- on reliability retells.

-- A receiver's status and reason: the pairs that exist. Numbers never change their meaning.
CREATE TABLE state (
    id      INTEGER PRIMARY KEY,
    status  TEXT NOT NULL,
    reason  TEXT NOT NULL,
    pending INTEGER NOT NULL CHECK (pending IN (0, 1)),
    UNIQUE (status, reason)
) STRICT;
INSERT INTO state (id, status, reason, pending) VALUES
    (0, 'not_sent', 'queued', 1),
    (1, 'not_sent', 'held', 0),
    (2, 'failed', 'temporary', 1),
    (3, 'failed', 'backend', 1),
    (4, 'failed', 'unconfirmed', 1),
    (5, 'failed', 'held', 0),
    (6, 'error', 'exhausted', 0),
    (7, 'error', 'permanent', 0),
    (8, 'error', 'expired', 0),
    (9, 'error', 'unconfirmed', 0),
    (10, 'error', 'suppressed', 0),
    (11, 'error', 'cancelled', 0),
    (12, 'sent', 'accepted', 0),
    (13, 'sent', 'marked', 0);

-- The types of messages that were ever handed over.
CREATE TABLE kind (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- A backend's breaker and pause; they outlive every process.
CREATE TABLE backend (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    changed_at  INTEGER NOT NULL,
    paused      INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    down_since  INTEGER,
    probe_at    INTEGER,
    probe_wait  INTEGER,
    error       TEXT NOT NULL DEFAULT '',
    traceback   TEXT NOT NULL DEFAULT '',
    CHECK ((down_since IS NULL) = (probe_at IS NULL)),
    CHECK ((down_since IS NULL) = (probe_wait IS NULL))
) STRICT;

-- What messages say: once per distinct subject and body. codec 0: JSON as it is; 1: the same, zstd.
CREATE TABLE content (
    id      INTEGER PRIMARY KEY,
    hash    BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    subject TEXT NOT NULL,
    codec   INTEGER NOT NULL CHECK (codec IN (0, 1)),
    body    BLOB NOT NULL
) STRICT;

CREATE TABLE message (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT NOT NULL UNIQUE,
    digest      BLOB NOT NULL CHECK (length(digest) = 32),
    kind_id     INTEGER NOT NULL REFERENCES kind (id),
    sender      TEXT,
    reply_to    TEXT,
    headers     TEXT NOT NULL,
    return_path TEXT,
    created_by  TEXT,
    created_at  INTEGER NOT NULL,
    metadata    TEXT NOT NULL,
    raw         INTEGER NOT NULL CHECK (raw IN (0, 1))
) STRICT;
CREATE INDEX message_key_nocase ON message (key COLLATE NOCASE);

-- One resend by an operator.
CREATE TABLE job (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER NOT NULL,
    who        TEXT NOT NULL
) STRICT;

-- One delivering process. It holds a lock on the file "<store>.engine-<id>" for life.
CREATE TABLE engine (
    id           TEXT PRIMARY KEY CHECK (length(id) = 32),
    kind         TEXT NOT NULL,
    pid          INTEGER NOT NULL,
    started_at   INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL,
    lease_until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Checks compare with = and BETWEEN: an IN of three or more builds a table of its own for every row that is written.
CREATE TABLE receiver (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id    INTEGER NOT NULL REFERENCES message (id),
    kind_id       INTEGER NOT NULL REFERENCES kind (id),
    backend_id    INTEGER NOT NULL REFERENCES backend (id),
    content_id    INTEGER NOT NULL REFERENCES content (id),
    created_at    INTEGER NOT NULL,
    identity      TEXT NOT NULL,
    name          TEXT,
    user          TEXT,
    language      TEXT NOT NULL,
    metadata      TEXT NOT NULL,
    priority      INTEGER NOT NULL,
    send_after    INTEGER,
    expires_at    INTEGER,
    -- An operator's resend goes out although it expired.
    ignore_expiry INTEGER NOT NULL DEFAULT 0 CHECK (ignore_expiry IN (0, 1)),
    -- Message-ID or client reference: the same on every retry, new only when something already Sent is sent again.
    uid           TEXT NOT NULL,
    state         INTEGER NOT NULL CHECK (state BETWEEN 0 AND 13),
    failed_count  INTEGER NOT NULL DEFAULT 0 CHECK (failed_count >= 0),
    sent_count    INTEGER NOT NULL DEFAULT 0 CHECK (sent_count >= 0),
    unknown_count INTEGER NOT NULL DEFAULT 0 CHECK (unknown_count >= 0),
    -- NULL: the configured one.
    resend_limit  INTEGER,
    -- The failed count from which the steps of the backoff are counted.
    backoff_from  INTEGER NOT NULL DEFAULT 0,
    sent_at       INTEGER,
    delivery      TEXT CHECK (delivery = 'pending' OR delivery = 'delivered' OR delivery = 'undelivered'),
    -- NULL: nothing to do.
    due_at        INTEGER,
    -- The resend that made it due.
    job           INTEGER REFERENCES job (id),
    -- Who holds the row now, and how far: 1 claimed, 2 armed. Rises with every claim: epoch.
    engine        TEXT,
    phase         INTEGER CHECK (phase IN (1, 2)),
    epoch         INTEGER NOT NULL DEFAULT 0,
    CHECK ((due_at IS NOT NULL) = (state = 0 OR state BETWEEN 2 AND 4)),
    CHECK ((engine IS NULL) = (phase IS NULL)),
    CHECK (engine IS NULL OR due_at IS NOT NULL),
    CHECK (state < 12 OR sent_at IS NOT NULL)
) STRICT;
CREATE INDEX receiver_due ON receiver (backend_id, priority, due_at, id) WHERE due_at IS NOT NULL AND engine IS NULL;
CREATE INDEX receiver_engine ON receiver (engine) WHERE engine IS NOT NULL;
CREATE INDEX receiver_job ON receiver (job) WHERE job IS NOT NULL;
CREATE INDEX receiver_expiry ON receiver (expires_at) WHERE expires_at IS NOT NULL AND due_at IS NOT NULL;
CREATE INDEX receiver_state ON receiver (state, id);
CREATE INDEX receiver_kind ON receiver (kind_id, state, id);
CREATE INDEX receiver_message ON receiver (message_id);
CREATE INDEX receiver_user ON receiver (user COLLATE NOCASE, id) WHERE user IS NOT NULL;
CREATE INDEX receiver_identity ON receiver (identity COLLATE NOCASE, id);

-- One try for one receiver, appended; a claim makes at most one.
CREATE TABLE attempt (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    receiver_id  INTEGER NOT NULL REFERENCES receiver (id) ON DELETE CASCADE,
    epoch        INTEGER NOT NULL,
    started_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    outcome      TEXT CHECK (outcome = 'accepted' OR outcome = 'temporary' OR outcome = 'permanent' OR outcome = 'backend'
                             OR outcome = 'unknown' OR outcome = 'cancelled'),
    code         INTEGER,
    enhanced     TEXT,
    server       TEXT,
    phase        TEXT,
    error        TEXT,
    traceback    TEXT,
    transcript   TEXT,
    reply        TEXT,
    tried_by     TEXT NOT NULL,
    -- What was learned after the row had moved on.
    late_outcome TEXT,
    late_at      INTEGER,
    late_text    TEXT,
    UNIQUE (receiver_id, epoch),
    CHECK ((outcome IS NULL) = (ended_at IS NULL)),
    CHECK (outcome IS NULL OR outcome = 'accepted' OR (error IS NOT NULL AND traceback IS NOT NULL))
) STRICT;

-- Receivers per backend, type and state: exact, kept by the triggers below.
CREATE TABLE counter (
    backend_id INTEGER NOT NULL,
    kind_id    INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    n          INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (backend_id, kind_id, state)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER receiver_counted_insert AFTER INSERT ON receiver BEGIN
    INSERT INTO counter (backend_id, kind_id, state, n) VALUES (new.backend_id, new.kind_id, new.state, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER receiver_counted_update AFTER UPDATE OF state ON receiver WHEN old.state <> new.state BEGIN
    UPDATE counter SET n = n - 1 WHERE backend_id = old.backend_id AND kind_id = old.kind_id AND state = old.state;
    INSERT INTO counter (backend_id, kind_id, state, n) VALUES (new.backend_id, new.kind_id, new.state, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER receiver_counted_delete AFTER DELETE ON receiver BEGIN
    UPDATE counter SET n = n - 1 WHERE backend_id = old.backend_id AND kind_id = old.kind_id AND state = old.state;
END;

-- Trigrams of subject, user and identity, folded; filled in small steps behind the writers. Receivers above "upto" are not in yet.
CREATE VIRTUAL TABLE search USING fts5 (text, tokenize = 'trigram', content = '', contentless_delete = 1, detail = none);
CREATE TABLE search_progress (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    upto INTEGER NOT NULL
) STRICT;
INSERT INTO search_progress (only, upto) VALUES (1, 0);

-- Every action by an operator, and every event that an operator should be able to find again.
CREATE TABLE audit (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    who    TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    count  INTEGER NOT NULL,
    -- The receiver, where it is about one.
    receiver_id INTEGER
) STRICT;
CREATE INDEX audit_receiver ON audit (receiver_id) WHERE receiver_id IS NOT NULL;
