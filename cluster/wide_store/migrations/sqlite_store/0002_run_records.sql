-- What a run did in detail: prompts' parts, answers, decisions. Apart from runs, which are read by the page.
CREATE TABLE run_records (
    row INTEGER PRIMARY KEY,
    subject INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    id TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX run_records_by_id ON run_records (subject, generation, id);
