-- Access tokens issued up to then do not count any more: set by a change of role or password, and
-- by a deactivation.
ALTER TABLE users ADD COLUMN tokens_from TIMESTAMPTZ;

-- Who did what with which account. No personal data is in it, so it outlives the account.
CREATE TABLE user_audit (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     UUID NOT NULL,
    action      VARCHAR(50) NOT NULL,
    from_value  VARCHAR(50),
    to_value    VARCHAR(50),
    actor_id    VARCHAR(255) NOT NULL,
    actor_role  VARCHAR(20) NOT NULL,
    at          TIMESTAMPTZ NOT NULL,
    request_id  VARCHAR(128) NOT NULL,
    trace_id    CHAR(32) NOT NULL
);

-- Serves an account's audit, newest first.
CREATE INDEX idx_user_audit_user_id ON user_audit (user_id, id);
