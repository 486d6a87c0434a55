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
