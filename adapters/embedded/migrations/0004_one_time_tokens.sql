-- When the address was shown to be its owner's. Accounts made before there was a way to show it
-- count as verified.
ALTER TABLE users ADD COLUMN email_verified_at INTEGER;
UPDATE users SET email_verified_at = created_at;

-- Tokens that are mailed, by their SHA-256. A row without a user is the trace of a request for an
-- address without an account: it costs the same, so that nobody learns of it.
CREATE TABLE one_time_tokens (
    id         BLOB PRIMARY KEY NOT NULL,
    user_id    BLOB REFERENCES users (id) ON DELETE CASCADE,
    purpose    TEXT NOT NULL CHECK (purpose IN ('password_reset', 'email_verification')),
    hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT;

-- Serves "was one sent of late", "end all of a user" and the cascade of a purge.
CREATE INDEX idx_one_time_tokens_user_id ON one_time_tokens (user_id, purpose);
-- Serves the pruning.
CREATE INDEX idx_one_time_tokens_expires_at ON one_time_tokens (expires_at);

-- What was captured is not always about an order.
CREATE TABLE inbox_messages_new (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    notification_id BLOB NOT NULL,
    order_id        BLOB,
    channel         TEXT NOT NULL CHECK (channel IN ('email', 'sms')),
    recipient       TEXT NOT NULL,
    subject         TEXT,
    text            TEXT NOT NULL,
    html            TEXT,
    mime            BLOB,
    created_at      INTEGER NOT NULL
) STRICT;
INSERT INTO inbox_messages_new SELECT * FROM inbox_messages;
DROP TABLE inbox_messages;
ALTER TABLE inbox_messages_new RENAME TO inbox_messages;
CREATE INDEX idx_inbox_messages_order_id ON inbox_messages (order_id);

CREATE TABLE inbox_attempts_new (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    notification_id BLOB NOT NULL,
    order_id        BLOB,
    channel         TEXT NOT NULL,
    fault           TEXT,
    at              INTEGER NOT NULL
) STRICT;
INSERT INTO inbox_attempts_new SELECT * FROM inbox_attempts;
DROP TABLE inbox_attempts;
ALTER TABLE inbox_attempts_new RENAME TO inbox_attempts;
