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

-- Batches of notifications on their way to cold storage, and those that are there. Which rows a batch
-- has is written down before anything is archived: a run that dies is gone on with, and no row gets
-- into two batches.
CREATE TABLE notification_archives (
    id           UUID PRIMARY KEY,
    planned_at   TIMESTAMPTZ NOT NULL,
    -- The notifications; NULL once they are deleted.
    members      UUID[],
    completed_at TIMESTAMPTZ,
    -- What its manifest says.
    object       VARCHAR(255),
    sha256       CHAR(64),
    bytes        BIGINT,
    rows         BIGINT,
    from_at      TIMESTAMPTZ,
    to_at        TIMESTAMPTZ
);

-- One batch at a time is on its way.
CREATE UNIQUE INDEX idx_notification_archives_open ON notification_archives ((true))
WHERE completed_at IS NULL;
