-- The idempotency keys of placed orders, written with the order. Rows go 24 hours after they came.
CREATE TABLE order_keys (
    user_id     BLOB NOT NULL,
    key         TEXT NOT NULL,
    -- SHA-256 of what was asked for.
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    order_id    BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (user_id, key)
) STRICT;

-- Serves pruning, oldest first.
CREATE INDEX idx_order_keys_created_at ON order_keys (created_at);
