-- Functions, layers and event source mappings: a document each, which the server has in memory.
CREATE TABLE functions (name TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE layers (name TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE event_source_mappings (name TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;

-- Asynchronous invocations that were accepted and have not ended.
CREATE TABLE invocations (
    id INTEGER PRIMARY KEY,
    function TEXT NOT NULL,
    request_id TEXT NOT NULL,
    -- What it is of, beside the payload, as JSON.
    document TEXT NOT NULL,
    payload BLOB NOT NULL,
    accepted_at INTEGER NOT NULL,
    -- How often it has been run.
    runs INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL
);
CREATE INDEX invocations_due ON invocations (due_at, id);
CREATE INDEX invocations_of ON invocations (function);
