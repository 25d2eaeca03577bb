CREATE TABLE pipelines (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    arn          TEXT NOT NULL,
    display_name TEXT,
    description  TEXT,
    role_arn     TEXT NOT NULL,
    parallelism  INTEGER,
    version      INTEGER NOT NULL,
    token        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    modified_at  INTEGER NOT NULL,
    last_run_at  INTEGER
) STRICT;

CREATE TABLE pipeline_versions (
    pipeline_id    INTEGER NOT NULL REFERENCES pipelines (id),
    version        INTEGER NOT NULL,
    definition     TEXT NOT NULL,
    display_name   TEXT,
    description    TEXT,
    aliases        TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    last_execution TEXT,
    PRIMARY KEY (pipeline_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE pipeline_executions (
    id          INTEGER PRIMARY KEY,
    arn         TEXT NOT NULL UNIQUE,
    pipeline_id INTEGER NOT NULL REFERENCES pipelines (id),
    version     INTEGER NOT NULL,
    token       TEXT NOT NULL,
    request     TEXT NOT NULL,
    status      TEXT NOT NULL,
    state       TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    ended_at    INTEGER,
    UNIQUE (pipeline_id, token)
) STRICT;
CREATE INDEX pipeline_executions_open ON pipeline_executions (id) WHERE ended_at IS NULL;

-- Apart from the execution, since each change is of few of them.
CREATE TABLE pipeline_steps (
    execution_id INTEGER NOT NULL REFERENCES pipeline_executions (id),
    name         TEXT NOT NULL,
    state        TEXT NOT NULL,
    callback     TEXT,
    PRIMARY KEY (execution_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX pipeline_steps_by_callback ON pipeline_steps (callback) WHERE callback IS NOT NULL;

-- The latest result of each step that is cached, by the hash of what it was made from.
CREATE TABLE pipeline_results (
    pipeline_id INTEGER NOT NULL REFERENCES pipelines (id),
    step        TEXT NOT NULL,
    hash        TEXT NOT NULL,
    execution   TEXT NOT NULL,
    properties  TEXT NOT NULL,
    metadata    TEXT NOT NULL,
    ended_at    INTEGER NOT NULL,
    PRIMARY KEY (pipeline_id, step, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE model_package_groups (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    arn         TEXT NOT NULL,
    description TEXT,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE model_packages (
    id             INTEGER PRIMARY KEY,
    arn            TEXT NOT NULL UNIQUE,
    name           TEXT NOT NULL,
    package_group  TEXT REFERENCES model_package_groups (name),
    version        INTEGER,
    approval       TEXT,
    token          TEXT UNIQUE,
    request        TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    modified_at    INTEGER
) STRICT;
CREATE INDEX model_packages_by_group ON model_packages (package_group, version);
