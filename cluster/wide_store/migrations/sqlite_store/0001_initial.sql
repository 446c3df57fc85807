-- A head is never deleted, so the number of a subject is never used again. Every other row of a subject
-- carries its generation; rows of another generation than the head's do not exist for any reader.
CREATE TABLE heads (
    subject INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    shard INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    settings BLOB NOT NULL,
    listed INTEGER NOT NULL,
    active_hour INTEGER NOT NULL
) STRICT;
CREATE INDEX heads_by_tenant ON heads (tenant, key) WHERE listed = 1;
CREATE INDEX heads_by_shard ON heads (shard, key, active_hour) WHERE listed = 1;

-- seq is the order of arrival, which is what a tail follows: AUTOINCREMENT, because a number that came
-- back after an erase would be below somebody's tail. A deleted message stays as a marker.
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    subject INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    id TEXT NOT NULL,
    session TEXT NOT NULL,
    event_time INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX messages_by_id ON messages (subject, generation, id);
CREATE INDEX messages_by_arrival ON messages (subject, generation, seq);
CREATE INDEX messages_by_session ON messages (subject, generation, session, id, event_time) WHERE deleted = 0;

-- The messages that are in no run and not deleted: derived, but written in the same transactions.
CREATE TABLE pending (
    subject INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (subject, generation, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE message_marks (
    subject INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    mark TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (subject, generation, mark, id)
) STRICT, WITHOUT ROWID;

-- Clustered by subject, because a subject is mostly loaded whole. A NULL body marks a deleted memory.
CREATE TABLE memories (
    subject INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    id TEXT NOT NULL,
    body BLOB,
    PRIMARY KEY (subject, generation, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memories_by_id ON memories (id) WHERE body IS NOT NULL;

CREATE TABLE scopes (
    tenant TEXT NOT NULL,
    label TEXT NOT NULL,
    label_id TEXT NOT NULL,
    subject INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    memory_id TEXT NOT NULL,
    PRIMARY KEY (tenant, label, label_id, subject, generation, memory_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX scopes_by_memory ON scopes (subject, generation, memory_id);

CREATE TABLE changes (
    row INTEGER PRIMARY KEY,
    subject INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    commit_id TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX changes_by_revision ON changes (subject, generation, revision);
CREATE UNIQUE INDEX changes_by_commit ON changes (subject, generation, commit_id);

CREATE TABLE touches (
    subject INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    memory_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (subject, generation, memory_id, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    row INTEGER PRIMARY KEY,
    subject INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX runs_of_subject ON runs (subject, generation, id);
CREATE INDEX runs_by_status ON runs (subject, generation, status, id);
CREATE INDEX runs_by_id ON runs (id);

CREATE TABLE run_inputs (
    subject INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (subject, generation, message_id, run_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE claims (
    row INTEGER PRIMARY KEY,
    subject INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    expires_at INTEGER,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX claims_by_key ON claims (subject, generation, kind, key);
CREATE INDEX claims_by_expiry ON claims (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE vectors (
    row INTEGER PRIMARY KEY,
    subject INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    model TEXT NOT NULL,
    content_hash BLOB NOT NULL,
    vector BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX vectors_by_id ON vectors (subject, generation, kind, id, model);

CREATE TABLE swept (
    shard INTEGER PRIMARY KEY,
    through INTEGER NOT NULL
) STRICT;

-- Erased generations whose rows are still being removed, a piece at a time.
CREATE TABLE graves (
    subject INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (subject, generation)
) STRICT, WITHOUT ROWID;
