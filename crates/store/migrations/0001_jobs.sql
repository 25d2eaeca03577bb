CREATE TABLE jobs (
    id            INTEGER PRIMARY KEY,
    kind          TEXT NOT NULL,
    name          TEXT NOT NULL,
    arn           TEXT NOT NULL,
    priority      INTEGER NOT NULL,
    share         TEXT NOT NULL,
    cores         INTEGER NOT NULL,
    note          TEXT,
    state         TEXT NOT NULL,
    phase         TEXT NOT NULL,
    stage         TEXT,
    class         TEXT,
    message       TEXT,
    stop_reason   TEXT,
    until         INTEGER,
    running_since INTEGER,
    lease_owner   TEXT,
    lease_until   INTEGER,
    due_at        INTEGER,
    attempts      INTEGER NOT NULL,
    number        INTEGER NOT NULL,
    refusals      INTEGER NOT NULL,
    token         INTEGER NOT NULL,
    memory        INTEGER NOT NULL,
    waiting_since INTEGER NOT NULL,
    run_millis    INTEGER NOT NULL,
    policy        TEXT NOT NULL,
    limits        TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    started_at    INTEGER,
    ended_at      INTEGER,
    modified_at   INTEGER NOT NULL,
    UNIQUE (kind, name)
) STRICT;

-- What lists filter by stands in their indices, so that rows that don't match are never read.
CREATE INDEX jobs_by_created ON jobs (created_at, id, kind, name, phase, modified_at);
CREATE INDEX jobs_by_name ON jobs (name, id, kind, phase, created_at, modified_at);
CREATE INDEX jobs_by_phase ON jobs (phase, created_at, id, kind, name, modified_at);
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX jobs_leased ON jobs (lease_owner) WHERE lease_owner IS NOT NULL;

-- Apart from the rows that every transition rewrites.
CREATE TABLE job_documents (
    job_id  INTEGER PRIMARY KEY REFERENCES jobs (id),
    request TEXT NOT NULL,
    result  TEXT
) STRICT;

CREATE TABLE attempts (
    job_id        INTEGER NOT NULL REFERENCES jobs (id),
    number        INTEGER NOT NULL,
    token         INTEGER NOT NULL,
    owner         TEXT NOT NULL,
    memory        INTEGER NOT NULL,
    pid           INTEGER,
    started_ticks INTEGER,
    boot          TEXT,
    created_at    INTEGER NOT NULL,
    launched_at   INTEGER,
    ended_at      INTEGER,
    class         TEXT,
    message       TEXT,
    PRIMARY KEY (job_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
    seq     INTEGER PRIMARY KEY,
    job_id  INTEGER NOT NULL REFERENCES jobs (id),
    at      INTEGER NOT NULL,
    event   TEXT NOT NULL,
    state   TEXT NOT NULL,
    stage   TEXT,
    number  INTEGER NOT NULL,
    class   TEXT,
    message TEXT
) STRICT;
CREATE INDEX history_by_job ON history (job_id, seq);

CREATE TABLE outbox (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    topic   TEXT NOT NULL,
    subject TEXT NOT NULL,
    body    TEXT NOT NULL
) STRICT;

CREATE TABLE outbox_consumers (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE models (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    arn        TEXT NOT NULL,
    request    TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX models_by_created ON models (created_at, id, name);

CREATE TABLE tags (
    arn   TEXT NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (arn, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
