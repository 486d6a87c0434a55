-- Notifications, as PRD §9.3 has them, and below them what makes each of them go out once.
CREATE TABLE notifications (
    id               UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id          UUID NOT NULL,
    order_id         UUID,
    channel          VARCHAR(10) NOT NULL CHECK (channel IN ('email', 'sms')),
    type             VARCHAR(100) NOT NULL,
    recipient        VARCHAR(255) NOT NULL,
    subject          VARCHAR(255),
    body             TEXT NOT NULL,
    status           VARCHAR(10) NOT NULL DEFAULT 'queued'
                       CHECK (status IN ('queued', 'sent', 'failed')),
    provider_ref     VARCHAR(255),
    error_message    VARCHAR(1000),
    sent_at          TIMESTAMPTZ,
    created_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- The event that caused it: one notification per event and channel, ever.
    event_id         UUID NOT NULL,
    -- The plain-text alternative of a mail.
    body_text        TEXT,
    -- How often it was claimed for sending, and until when the present claim holds.
    attempts         INTEGER NOT NULL DEFAULT 0,
    lease_until      TIMESTAMPTZ,
    -- How many attempts may have reached the recipient although no answer was recorded.
    unknown_outcomes INTEGER NOT NULL DEFAULT 0,
    updated_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT notifications_once_per_event_and_channel UNIQUE (event_id, channel)
);

CREATE INDEX idx_notifications_user_id ON notifications (user_id);
CREATE INDEX idx_notifications_order_id ON notifications (order_id);
CREATE INDEX idx_notifications_status ON notifications (status);
CREATE INDEX idx_notifications_created_at ON notifications (created_at);
