-- Serve the poll for what was revoked of late.
CREATE INDEX idx_sessions_ended_at ON sessions (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX idx_users_tokens_from ON users (tokens_from) WHERE tokens_from IS NOT NULL;

-- A deactivation or a change of role ends the access tokens issued before it, also if it is made by
-- hand and not by the service.
CREATE TRIGGER users_end_tokens AFTER UPDATE OF is_active, role ON users FOR EACH ROW
WHEN ((OLD.is_active AND NOT NEW.is_active) OR OLD.role <> NEW.role)
     AND NEW.tokens_from IS OLD.tokens_from
BEGIN
    UPDATE users SET tokens_from = CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)
    WHERE id = NEW.id;
END;
