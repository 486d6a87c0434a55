-- Events that an operator put back into the outbox: who, when, and what was found.
CREATE TABLE order_repairs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id   BLOB NOT NULL,
    event_id   BLOB NOT NULL,
    event_type TEXT NOT NULL,
    finding    TEXT NOT NULL,
    actor      TEXT NOT NULL,
    at         INTEGER NOT NULL
) STRICT;

-- Serves who asks for the events of an order: looking through the outbox for each of a million orders
-- takes days.
CREATE INDEX idx_order_outbox_subject ON order_outbox (subject, id);
-- Serves who looks for what is stuck.
CREATE INDEX idx_notifications_queued ON notifications (id) WHERE status = 'queued';
-- Serves the list of those in one role, newest first: there are few admins among many customers.
CREATE INDEX idx_users_role ON users (role, created_at, id);
