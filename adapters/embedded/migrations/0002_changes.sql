-- Access tokens issued up to then do not count any more: set by a change of role or password, and
-- by a deactivation.
ALTER TABLE users ADD COLUMN tokens_from INTEGER;

-- The list of users, newest first.
CREATE INDEX idx_users_created_at ON users (created_at, id);

-- Who did what with which account. No personal data is in it, so it outlives the account.
CREATE TABLE user_audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id     BLOB NOT NULL,
    action      TEXT NOT NULL,
    from_value  TEXT,
    to_value    TEXT,
    actor_id    TEXT NOT NULL,
    actor_role  TEXT NOT NULL,
    at          INTEGER NOT NULL,
    request_id  TEXT NOT NULL,
    trace_id    TEXT NOT NULL
) STRICT;

-- Serves an account's audit, newest first.
CREATE INDEX idx_user_audit_user_id ON user_audit (user_id, id);
