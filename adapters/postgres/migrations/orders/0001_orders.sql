-- Orders, as PRD §9.2 has them, with the invariants of PRD §6.3 as a constraint.
CREATE TABLE orders (
    id               UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id          UUID NOT NULL,
    status           VARCHAR(20) NOT NULL DEFAULT 'pending'
                       CHECK (status IN ('pending', 'confirmed', 'shipped', 'delivered')),
    items            JSONB NOT NULL,
    shipping_address JSONB NOT NULL,
    total_amount     DECIMAL(10, 2) NOT NULL,
    currency         VARCHAR(3) NOT NULL DEFAULT 'USD',
    notes            VARCHAR(500),
    confirmed_at     TIMESTAMPTZ,
    shipped_at       TIMESTAMPTZ,
    delivered_at     TIMESTAMPTZ,
    created_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT orders_status_has_its_times CHECK (
        (confirmed_at IS NOT NULL) = (status IN ('confirmed', 'shipped', 'delivered'))
        AND (shipped_at IS NOT NULL) = (status IN ('shipped', 'delivered'))
        AND (delivered_at IS NOT NULL) = (status = 'delivered')
    )
);

CREATE INDEX idx_orders_user_id ON orders (user_id);
CREATE INDEX idx_orders_status ON orders (status);
CREATE INDEX idx_orders_created_at ON orders (created_at);
CREATE INDEX idx_orders_user_status ON orders (user_id, status);

-- Every change of every order, written with the change.
CREATE TABLE order_history (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id    UUID NOT NULL,
    from_status VARCHAR(20),
    to_status   VARCHAR(20) NOT NULL,
    actor_id    VARCHAR(255) NOT NULL,
    actor_role  VARCHAR(20) NOT NULL,
    at          TIMESTAMPTZ NOT NULL,
    request_id  VARCHAR(128) NOT NULL,
    trace_id    CHAR(32) NOT NULL
);

-- Serves an order's history; each state is reached once.
CREATE UNIQUE INDEX idx_order_history_order_id ON order_history (order_id, to_status);

-- Events that are to be published, written with the change they tell of.
CREATE TABLE order_outbox (
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
CREATE INDEX idx_order_outbox_waiting ON order_outbox (id) WHERE published_at IS NULL;
CREATE INDEX idx_order_outbox_waiting_subject ON order_outbox (subject, id) WHERE published_at IS NULL;
