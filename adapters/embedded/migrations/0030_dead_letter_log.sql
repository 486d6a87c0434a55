-- What was done with dead letters: who replayed, discarded or imported which, when and why.
CREATE TABLE dead_letter_log (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL,
    queue      TEXT NOT NULL,
    class      TEXT NOT NULL,
    action     TEXT NOT NULL CHECK (action IN ('replay', 'discard', 'import')),
    reason     TEXT,
    actor      TEXT NOT NULL,
    at         INTEGER NOT NULL
) STRICT;

CREATE INDEX idx_dead_letter_log_message_id ON dead_letter_log (message_id, id);
