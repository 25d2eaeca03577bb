CREATE TABLE tuning_jobs (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    arn         TEXT NOT NULL,
    request     TEXT NOT NULL,
    seed        INTEGER NOT NULL,
    status      TEXT NOT NULL,
    failure     TEXT,
    created_at  INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    ended_at    INTEGER
) STRICT;

CREATE INDEX tuning_jobs_open ON tuning_jobs (id) WHERE ended_at IS NULL;
