-- Within a share, jobs of a higher rank go first.
ALTER TABLE jobs ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;

-- What a job of Batch had to say of an attempt.
ALTER TABLE attempts ADD COLUMN result TEXT;

-- Compute environments, job queues, scheduling policies, service environments.
CREATE TABLE batch_resources (
    id         INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    arn        TEXT NOT NULL UNIQUE,
    document   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (kind, name)
) STRICT;

CREATE TABLE batch_definitions (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL,
    revision INTEGER NOT NULL,
    arn      TEXT NOT NULL UNIQUE,
    active   INTEGER NOT NULL,
    document TEXT NOT NULL,
    UNIQUE (name, revision)
) STRICT;

-- What Batch knows of its jobs: single jobs, arrays, and the arrays' children. Arrays have no row in
-- jobs; the others follow theirs in the transaction that changes it.
CREATE TABLE batch_jobs (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    arn        TEXT NOT NULL,
    name       TEXT NOT NULL,
    queue      TEXT NOT NULL,
    definition TEXT NOT NULL,
    parent     TEXT,
    place      INTEGER,
    job_id     INTEGER REFERENCES jobs (id),
    document   TEXT,
    state      TEXT NOT NULL,
    status     TEXT NOT NULL,
    waits      INTEGER NOT NULL,
    doomed     INTEGER NOT NULL,
    asked      TEXT,
    reason     TEXT,
    to_do      TEXT,
    -- The children of an array by status.
    size       INTEGER,
    submitted  INTEGER NOT NULL DEFAULT 0,
    pending    INTEGER NOT NULL DEFAULT 0,
    runnable   INTEGER NOT NULL DEFAULT 0,
    starting   INTEGER NOT NULL DEFAULT 0,
    running    INTEGER NOT NULL DEFAULT 0,
    succeeded  INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at   INTEGER,
    changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX batch_jobs_by_queue ON batch_jobs (queue, status, seq) WHERE parent IS NULL;
CREATE INDEX batch_jobs_by_parent ON batch_jobs (parent, status, seq) WHERE parent IS NOT NULL;
CREATE INDEX batch_jobs_to_do ON batch_jobs (seq) WHERE to_do IS NOT NULL;

-- Jobs that wait for the end of others. An edge goes with the end that it waits for.
CREATE TABLE batch_dependencies (
    waits_for TEXT NOT NULL,
    job       TEXT NOT NULL,
    PRIMARY KEY (waits_for, job)
) STRICT, WITHOUT ROWID;

-- Jobs that Batch has SageMaker run.
CREATE TABLE batch_service_jobs (
    seq          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    arn          TEXT NOT NULL,
    name         TEXT NOT NULL,
    queue        TEXT NOT NULL,
    training_job TEXT NOT NULL UNIQUE,
    document     TEXT NOT NULL,
    reason       TEXT,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX batch_service_jobs_by_queue ON batch_service_jobs (queue, seq);
