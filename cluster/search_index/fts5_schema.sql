-- One index file. Everything in it is derived: it may be deleted, and is made anew when it is damaged.

CREATE TABLE meta (
    incarnation TEXT NOT NULL,     -- a new one each time the file is made anew
    files       INTEGER NOT NULL,  -- subjects are spread over so many files
    rebuilding  INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE filled (
    shard INTEGER PRIMARY KEY      -- everything of it has been put since the file was made
);

CREATE TABLE subjects (
    no     INTEGER PRIMARY KEY,
    key    BLOB NOT NULL UNIQUE,   -- Subject.key
    floor  INTEGER NOT NULL        -- documents of a generation below it stay out
);

CREATE TABLE documents (
    no         INTEGER PRIMARY KEY,
    subject    INTEGER NOT NULL REFERENCES subjects (no),
    id         TEXT NOT NULL,
    kind       TEXT,               -- NULL: deleted; the row keeps late puts out
    generation INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    UNIQUE (subject, id)
);

CREATE TABLE vectors (
    document INTEGER PRIMARY KEY REFERENCES documents (no),
    vector   BLOB NOT NULL         -- unit length, little-endian half precision
);

-- Terms arrive analysed, separated by spaces. The ascii tokenizer takes every byte from 0x80 up as part of a
-- token, and here every printable ASCII character too, so that it cuts at the spaces and nowhere else (the
-- unicode61 tokenizer would cut at whatever its old Unicode tables do not know).
CREATE VIRTUAL TABLE words USING fts5 (
    terms,
    scope,                         -- tokens that stand for the tenant, subject, labels, session and kind
    tokenize = "ascii tokenchars '!""#$%&''''()*+,-./:;<=>?@[\]^_`{|}~'"
);

INSERT INTO words (words, rank) VALUES ('rank', 'bm25(1.0, 0.0)');
