-- What came from elsewhere: the receivers of a message that were taken, by the numbers they had there. Handed over again they are known, whatever
-- became of them since.
CREATE TABLE imported (
    message_id INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    PRIMARY KEY (message_id, number)
) STRICT, WITHOUT ROWID;
