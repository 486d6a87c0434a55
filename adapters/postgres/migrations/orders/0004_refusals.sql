-- An event that the broker refuses is tried again, later each time; the others do not wait for it.
ALTER TABLE order_outbox ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;
ALTER TABLE order_outbox ADD COLUMN retry_at TIMESTAMPTZ;

-- Serves pruning of what was published long ago.
CREATE INDEX idx_order_outbox_published_at ON order_outbox (published_at)
    WHERE published_at IS NOT NULL;
