-- Every run of retention over one service, kept for good. No personal data is in it.
CREATE TABLE retention_runs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    service    TEXT NOT NULL,
    actor      TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    outcome    TEXT NOT NULL CHECK (outcome IN ('running', 'done', 'failed', 'interrupted')),
    purged     INTEGER NOT NULL DEFAULT 0,
    masked     INTEGER NOT NULL DEFAULT 0,
    archived   INTEGER NOT NULL DEFAULT 0,
    past_term  INTEGER NOT NULL DEFAULT 0,
    error      TEXT
) STRICT;

-- Serves the list, newest first.
CREATE INDEX idx_retention_runs_service ON retention_runs (service, id);

-- Since when an account is not active, so that it can be purged 90 days later.
ALTER TABLE users ADD COLUMN deactivated_at INTEGER;

-- Of accounts deactivated before: the audit knows, or the last change, which was not earlier.
UPDATE users SET deactivated_at = coalesce(
    (SELECT max(at) FROM user_audit
     WHERE user_audit.user_id = users.id AND action = 'deactivated'),
    updated_at)
WHERE NOT is_active;

-- Kept by the database, so that a change by hand counts as well. A deactivation is a change, so it is
-- never later than updated_at; one by hand that leaves updated_at alone gets the present time for both.
CREATE TRIGGER users_note_deactivation AFTER UPDATE OF is_active ON users FOR EACH ROW
WHEN OLD.is_active AND NOT NEW.is_active
BEGIN
    UPDATE users SET updated_at = CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)
    WHERE id = NEW.id AND updated_at = OLD.updated_at;
    UPDATE users SET deactivated_at = coalesce(deactivated_at, updated_at) WHERE id = NEW.id;
END;

CREATE TRIGGER users_note_activation AFTER UPDATE OF is_active ON users FOR EACH ROW
WHEN NEW.is_active AND NOT OLD.is_active
BEGIN
    UPDATE users SET deactivated_at = NULL WHERE id = NEW.id;
END;

CREATE TRIGGER users_note_deactivation_at_birth AFTER INSERT ON users FOR EACH ROW
WHEN NOT NEW.is_active
BEGIN
    UPDATE users SET deactivated_at = coalesce(deactivated_at, updated_at) WHERE id = NEW.id;
END;

-- Serves the purge.
CREATE INDEX idx_users_inactive ON users (id) WHERE NOT is_active;

-- Serves the list of those who were purged.
CREATE INDEX idx_user_audit_purged ON user_audit (id) WHERE action = 'purged';

-- Batches of notifications on their way to cold storage, and those that are there. Which rows a batch
-- has is written down before anything is archived: a run that dies is gone on with, and no row gets
-- into two batches.
CREATE TABLE notification_archives (
    id           BLOB PRIMARY KEY NOT NULL,
    planned_at   INTEGER NOT NULL,
    -- The notifications, a JSON array of ids in hex; NULL once they are deleted.
    members      TEXT,
    completed_at INTEGER,
    -- What its manifest says.
    object       TEXT,
    sha256       TEXT,
    bytes        INTEGER,
    rows         INTEGER,
    from_at      INTEGER,
    to_at        INTEGER
) STRICT;

-- One batch at a time is on its way.
CREATE UNIQUE INDEX idx_notification_archives_open ON notification_archives (completed_at IS NULL)
WHERE completed_at IS NULL;
