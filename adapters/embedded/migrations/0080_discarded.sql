-- About which order a letter was, and of which type: who looks for what never came must not take up again
-- what was discarded on purpose.
ALTER TABLE dead_letter_log ADD COLUMN order_id BLOB;
ALTER TABLE dead_letter_log ADD COLUMN event_type TEXT;

CREATE INDEX idx_dead_letter_log_order_id ON dead_letter_log (order_id) WHERE action = 'discard';
