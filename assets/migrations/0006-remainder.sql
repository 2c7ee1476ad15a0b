-- A message with very many receivers is stored at once and whole, but its receivers become rows in steps that let others in. What has not become
-- rows yet: one part a step. codec 0: JSON as it is; 1: the same, zstd.
CREATE TABLE remainder (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id INTEGER NOT NULL REFERENCES message (id),
    codec      INTEGER NOT NULL CHECK (codec = 0 OR codec = 1),
    body       BLOB NOT NULL
) STRICT;
CREATE INDEX remainder_message ON remainder (message_id);
