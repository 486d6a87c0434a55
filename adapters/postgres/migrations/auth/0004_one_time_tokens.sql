-- When the address was shown to be its owner's. Accounts made before there was a way to show it
-- count as verified.
ALTER TABLE users ADD COLUMN email_verified_at TIMESTAMPTZ;
UPDATE users SET email_verified_at = created_at;

-- Tokens that are mailed, by their SHA-256. A row without a user is the trace of a request for an
-- address without an account: it costs the same, so that nobody learns of it.
CREATE TABLE one_time_tokens (
    id         UUID PRIMARY KEY,
    user_id    UUID REFERENCES users (id) ON DELETE CASCADE,
    purpose    VARCHAR(30) NOT NULL CHECK (purpose IN ('password_reset', 'email_verification')),
    hash       BYTEA NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    issued_at  TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    used_at    TIMESTAMPTZ
);

-- Serves "was one sent of late", "end all of a user" and the cascade of a purge.
CREATE INDEX idx_one_time_tokens_user_id ON one_time_tokens (user_id, purpose);
-- Serves the pruning.
CREATE INDEX idx_one_time_tokens_expires_at ON one_time_tokens (expires_at);

-- Events that are to be published, written with the change they tell of.
CREATE TABLE user_outbox (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id     UUID NOT NULL UNIQUE,
    subject      UUID NOT NULL,
    event_type   VARCHAR(100) NOT NULL,
    routing_key  VARCHAR(255) NOT NULL,
    payload      TEXT NOT NULL,
    traceparent  VARCHAR(55) NOT NULL,
    tracestate   VARCHAR(512),
    created_at   TIMESTAMPTZ NOT NULL,
    published_at TIMESTAMPTZ
);

-- The relay's claim: what waits, oldest first, and whether an earlier event of the subject waits.
CREATE INDEX idx_user_outbox_waiting ON user_outbox (id) WHERE published_at IS NULL;
CREATE INDEX idx_user_outbox_waiting_subject ON user_outbox (subject, id) WHERE published_at IS NULL;
