-- Events that an operator put back into the outbox: who, when, and what was found.
CREATE TABLE order_repairs (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id   UUID NOT NULL,
    event_id   UUID NOT NULL,
    event_type VARCHAR(100) NOT NULL,
    finding    VARCHAR(40) NOT NULL,
    actor      VARCHAR(255) NOT NULL,
    at         TIMESTAMPTZ NOT NULL
);

-- Serves who asks for the events of an order: looking through the outbox for each of a million orders
-- takes days. It costs writers one more entry for each event.
CREATE INDEX idx_order_outbox_subject ON order_outbox (subject, id);
