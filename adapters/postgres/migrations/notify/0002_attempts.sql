-- Every call of a provider, and every claim that ended without one being recorded ('lost').
CREATE TABLE notification_attempts (
    notification_id UUID NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    number          INTEGER NOT NULL,
    began_at        TIMESTAMPTZ NOT NULL,
    ended_at        TIMESTAMPTZ,
    outcome         VARCHAR(10) NOT NULL
                      CHECK (outcome IN ('sent', 'refused', 'not_now', 'away', 'unknown', 'lost')),
    provider_ref    VARCHAR(255),
    reason          VARCHAR(1000),
    PRIMARY KEY (notification_id, number)
);
