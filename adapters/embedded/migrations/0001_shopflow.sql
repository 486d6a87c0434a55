-- All of ShopFlow in one file. Tables and columns are named as on PostgreSQL. UUIDs are BLOBs of
-- 16 bytes, times are INTEGER microseconds since 1970 (UTC), amounts and JSON are TEXT.

CREATE TABLE users (
    id            BLOB PRIMARY KEY NOT NULL,
    email         TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    first_name    TEXT NOT NULL,
    last_name     TEXT NOT NULL,
    phone         TEXT,
    role          TEXT NOT NULL CHECK (role IN ('customer', 'admin')),
    is_active     INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;

-- One row a login. Its tokens count until it has ended.
CREATE TABLE sessions (
    id         BLOB PRIMARY KEY NOT NULL,
    user_id    BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER,
    end_reason TEXT
) STRICT;

-- Serves "end all sessions of a user" and the cascade of a purge.
CREATE INDEX idx_sessions_user_id ON sessions (user_id);

-- The refresh tokens of a session, by the SHA-256 of their ids. Each works once.
CREATE TABLE refresh_tokens (
    hash       BLOB PRIMARY KEY NOT NULL CHECK (length(hash) = 32),
    session_id BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT;

-- Serves the cascade.
CREATE INDEX idx_refresh_tokens_session_id ON refresh_tokens (session_id);

-- Orders, with the invariants of PRD §6.3 as a constraint.
CREATE TABLE orders (
    id               BLOB PRIMARY KEY NOT NULL,
    user_id          BLOB NOT NULL,
    status           TEXT NOT NULL CHECK (status IN ('pending', 'confirmed', 'shipped', 'delivered')),
    items            TEXT NOT NULL CHECK (json_valid(items)),
    shipping_address TEXT NOT NULL CHECK (json_valid(shipping_address)),
    total_amount     TEXT NOT NULL,
    currency         TEXT NOT NULL,
    notes            TEXT,
    confirmed_at     INTEGER,
    shipped_at       INTEGER,
    delivered_at     INTEGER,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    CONSTRAINT orders_status_has_its_times CHECK (
        (confirmed_at IS NOT NULL) = (status IN ('confirmed', 'shipped', 'delivered'))
        AND (shipped_at IS NOT NULL) = (status IN ('shipped', 'delivered'))
        AND (delivered_at IS NOT NULL) = (status = 'delivered')
    )
) STRICT;

-- The lists: newest first, of all or of one customer.
CREATE INDEX idx_orders_created_at ON orders (created_at, id);
CREATE INDEX idx_orders_user_id ON orders (user_id, created_at, id);
-- The dashboard's counts.
CREATE INDEX idx_orders_status ON orders (status);

-- Every change of every order, written with the change.
CREATE TABLE order_history (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id    BLOB NOT NULL,
    from_status TEXT,
    to_status   TEXT NOT NULL,
    actor_id    TEXT NOT NULL,
    actor_role  TEXT NOT NULL,
    at          INTEGER NOT NULL,
    request_id  TEXT NOT NULL,
    trace_id    TEXT NOT NULL
) STRICT;

-- Serves an order's history; each state is reached once.
CREATE UNIQUE INDEX idx_order_history_order_id ON order_history (order_id, to_status);

-- Events that are to be published, written with the change they tell of.
CREATE TABLE order_outbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id     BLOB NOT NULL UNIQUE,
    subject      BLOB NOT NULL,
    event_type   TEXT NOT NULL,
    routing_key  TEXT NOT NULL,
    payload      TEXT NOT NULL,
    traceparent  TEXT NOT NULL,
    tracestate   TEXT,
    created_at   INTEGER NOT NULL,
    published_at INTEGER
) STRICT;

-- The relay's claim: what waits, oldest first, and whether an earlier event of the subject waits.
CREATE INDEX idx_order_outbox_waiting ON order_outbox (id) WHERE published_at IS NULL;
CREATE INDEX idx_order_outbox_waiting_subject ON order_outbox (subject, id) WHERE published_at IS NULL;

-- Notifications: one per event and channel, ever.
CREATE TABLE notifications (
    id               BLOB PRIMARY KEY NOT NULL,
    user_id          BLOB NOT NULL,
    order_id         BLOB,
    channel          TEXT NOT NULL CHECK (channel IN ('email', 'sms')),
    type             TEXT NOT NULL,
    recipient        TEXT NOT NULL,
    subject          TEXT,
    body             TEXT NOT NULL,
    body_text        TEXT,
    status           TEXT NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'sent', 'failed')),
    provider_ref     TEXT,
    error_message    TEXT,
    sent_at          INTEGER,
    created_at       INTEGER NOT NULL,
    event_id         BLOB NOT NULL,
    -- How often it was claimed for sending, and until when the present claim holds.
    attempts         INTEGER NOT NULL DEFAULT 0,
    lease_until      INTEGER,
    -- How many attempts may have reached the recipient although no answer was recorded.
    unknown_outcomes INTEGER NOT NULL DEFAULT 0,
    updated_at       INTEGER NOT NULL,
    CONSTRAINT notifications_once_per_event_and_channel UNIQUE (event_id, channel)
) STRICT;

-- The lists: newest first, of all, of one customer, of one order.
CREATE INDEX idx_notifications_created_at ON notifications (created_at, id);
CREATE INDEX idx_notifications_user_id ON notifications (user_id, created_at, id);
CREATE INDEX idx_notifications_order_id ON notifications (order_id);

-- The bus: events on their way to a consumer. A row leaves when its outcome is recorded.
CREATE TABLE bus_messages (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    queue           TEXT NOT NULL,
    message_id      TEXT NOT NULL,
    event_type      TEXT NOT NULL,
    body            TEXT NOT NULL,
    traceparent     TEXT NOT NULL,
    tracestate      TEXT,
    -- Which attempt comes next, whether one was made before, and when one first failed.
    attempt         INTEGER NOT NULL DEFAULT 1,
    republished     INTEGER NOT NULL DEFAULT 0 CHECK (republished IN (0, 1)),
    first_failed_at INTEGER,
    -- Not delivered before this time: when it was published, or when its wait is over.
    due_at          INTEGER NOT NULL
) STRICT;

-- The consumer's next messages, in order.
CREATE INDEX idx_bus_messages_due ON bus_messages (queue, due_at, id);

-- Events that were given up, with the reasons.
CREATE TABLE dead_letters (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    queue           TEXT NOT NULL,
    message_id      TEXT NOT NULL,
    event_type      TEXT NOT NULL,
    body            TEXT NOT NULL,
    traceparent     TEXT NOT NULL,
    tracestate      TEXT,
    error_class     TEXT NOT NULL,
    error_message   TEXT NOT NULL,
    attempts        INTEGER NOT NULL,
    first_failed_at INTEGER NOT NULL,
    failed_at       INTEGER NOT NULL,
    failed_channels TEXT NOT NULL
) STRICT;

-- The inbox: what would have been sent.
CREATE TABLE inbox_messages (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    notification_id BLOB NOT NULL,
    order_id        BLOB NOT NULL,
    channel         TEXT NOT NULL CHECK (channel IN ('email', 'sms')),
    recipient       TEXT NOT NULL,
    subject         TEXT,
    text            TEXT NOT NULL,
    html            TEXT,
    mime            BLOB,
    created_at      INTEGER NOT NULL
) STRICT;

CREATE INDEX idx_inbox_messages_order_id ON inbox_messages (order_id);

-- Every attempt to send, with the fault it met.
CREATE TABLE inbox_attempts (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    notification_id BLOB NOT NULL,
    order_id        BLOB NOT NULL,
    channel         TEXT NOT NULL,
    fault           TEXT,
    at              INTEGER NOT NULL
) STRICT;
