-- Cleaning up: what retention looks by, what a deletion has to find at once, and the keys that outlive their messages.

-- Since when it is an Error; NULL when it is none. Kept by triggers, so that nobody who changes a state has to think of it.
ALTER TABLE receiver ADD COLUMN error_at INTEGER;
UPDATE receiver SET error_at = coalesce((SELECT max(ended_at) FROM attempt WHERE receiver_id = receiver.id), created_at)
    WHERE state BETWEEN 6 AND 11;
CREATE TRIGGER receiver_error_insert AFTER INSERT ON receiver WHEN new.state BETWEEN 6 AND 11 AND new.error_at IS NULL BEGIN
    UPDATE receiver SET error_at = created_at WHERE id = new.id;
END;
CREATE TRIGGER receiver_error_update AFTER UPDATE OF state ON receiver
    WHEN (new.state BETWEEN 6 AND 11) <> (old.state BETWEEN 6 AND 11) BEGIN
    UPDATE receiver SET error_at = CASE WHEN new.state BETWEEN 6 AND 11 THEN CAST(unixepoch('subsec') * 1000 AS INTEGER) END
        WHERE id = new.id;
END;

-- What retention walks; and whether there are new Errors.
CREATE INDEX receiver_error ON receiver (error_at) WHERE error_at IS NOT NULL;
-- Whether anybody uses a content: asked by every deletion of one.
CREATE INDEX receiver_content ON receiver (content_id);

-- The keys of deleted messages: handed over again, they are known still. Forgotten after 90 days.
CREATE TABLE spent_key (
    key        TEXT PRIMARY KEY,
    digest     BLOB NOT NULL CHECK (length(digest) = 32),
    message_id INTEGER NOT NULL,
    spent_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_key_at ON spent_key (spent_at);

-- Words of deleted receivers, to be taken out of the text index in small steps behind the writers. Until then it proposes receivers that are not there.
CREATE TABLE search_stale (
    id INTEGER PRIMARY KEY
) STRICT;
CREATE TRIGGER receiver_search_stale AFTER DELETE ON receiver WHEN old.id <= (SELECT upto FROM search_progress) BEGIN
    INSERT OR IGNORE INTO search_stale (id) VALUES (old.id);
END;
-- The index is merged in steps of its own: FTS5 would do it within a write, and for longer than others should wait.
INSERT INTO search (search, rank) VALUES ('automerge', 0);
