-- Every call of a provider, and every claim that ended without one being recorded ('lost').
CREATE TABLE notification_attempts (
    notification_id BLOB NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    number          INTEGER NOT NULL,
    began_at        INTEGER NOT NULL,
    ended_at        INTEGER,
    outcome         TEXT NOT NULL
                      CHECK (outcome IN ('sent', 'refused', 'not_now', 'away', 'unknown', 'lost')),
    provider_ref    TEXT,
    reason          TEXT,
    PRIMARY KEY (notification_id, number)
) STRICT;
