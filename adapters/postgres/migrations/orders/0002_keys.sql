-- The idempotency keys of placed orders, written with the order. A key's answer is made anew from
-- its order, so none is kept. Rows go 24 hours after they came.
CREATE TABLE order_keys (
    user_id     UUID NOT NULL,
    key         VARCHAR(255) NOT NULL,
    -- SHA-256 of what was asked for.
    fingerprint BYTEA NOT NULL CHECK (length(fingerprint) = 32),
    order_id    UUID NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (user_id, key)
);

-- Serves pruning, oldest first.
CREATE INDEX idx_order_keys_created_at ON order_keys (created_at);
