-- Every run of retention over one service, kept for good. Services may share a database, and then share
-- this table. No personal data is in it.
CREATE TABLE IF NOT EXISTS retention_runs (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service    VARCHAR(20) NOT NULL,
    actor      VARCHAR(255) NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    ended_at   TIMESTAMPTZ,
    outcome    VARCHAR(20) NOT NULL
                 CHECK (outcome IN ('running', 'done', 'failed', 'interrupted')),
    purged     BIGINT NOT NULL DEFAULT 0,
    masked     BIGINT NOT NULL DEFAULT 0,
    archived   BIGINT NOT NULL DEFAULT 0,
    past_term  BIGINT NOT NULL DEFAULT 0,
    error      VARCHAR(1000)
);

-- Serves the list, newest first.
CREATE INDEX IF NOT EXISTS idx_retention_runs_service ON retention_runs (service, id);

-- Since when an account is not active, so that it can be purged 90 days later.
ALTER TABLE users ADD COLUMN deactivated_at TIMESTAMPTZ;

-- Of accounts deactivated before: the audit knows, or the last change, which was not earlier.
UPDATE users SET deactivated_at = coalesce(
    (SELECT max(at) FROM user_audit
     WHERE user_audit.user_id = users.id AND action = 'deactivated'),
    updated_at)
WHERE NOT is_active;

-- Kept by the database, so that a change by hand counts as well. A deactivation is a change, so it is
-- never later than updated_at; one by hand that leaves updated_at alone gets the present time for both.
CREATE FUNCTION users_note_deactivation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.is_active THEN
        NEW.deactivated_at := NULL;
    ELSE
        IF TG_OP = 'UPDATE' AND NEW.updated_at = OLD.updated_at THEN
            NEW.updated_at := clock_timestamp();
        END IF;
        NEW.deactivated_at := coalesce(NEW.deactivated_at, NEW.updated_at);
    END IF;
    RETURN NEW;
END;
$$;

CREATE TRIGGER users_note_deactivation BEFORE UPDATE OF is_active ON users FOR EACH ROW
WHEN (OLD.is_active <> NEW.is_active)
EXECUTE FUNCTION users_note_deactivation();

CREATE TRIGGER users_note_deactivation_at_birth BEFORE INSERT ON users FOR EACH ROW
WHEN (NOT NEW.is_active)
EXECUTE FUNCTION users_note_deactivation();

-- Serves the purge.
CREATE INDEX idx_users_inactive ON users (id) WHERE NOT is_active;

-- Serves the list of those who were purged, which the other services ask for.
CREATE INDEX idx_user_audit_purged ON user_audit (id) WHERE action = 'purged';
