-- Jobs. `seq` is the order of acceptance; AUTOINCREMENT keeps the highest one ever used in
-- sqlite_sequence, also when that job is deleted. The specification is JSON with a version.
CREATE TABLE jobs (
    seq                 INTEGER PRIMARY KEY AUTOINCREMENT,
    id                  TEXT    NOT NULL UNIQUE,
    name                TEXT    NOT NULL,
    owner_uid           INTEGER NOT NULL,
    state               TEXT    NOT NULL,
    submitted_usec      INTEGER NOT NULL,
    due_usec            INTEGER NOT NULL,
    started_usec        INTEGER,
    finished_usec       INTEGER,
    reason              TEXT,
    exit_code           INTEGER,
    detail              TEXT    NOT NULL,
    stop_reason         TEXT,
    stop_requested_usec INTEGER,
    shard               INTEGER,
    boot_id             TEXT    NOT NULL,
    cpu_usec            INTEGER,
    memory_peak_bytes   INTEGER,
    io_read_bytes       INTEGER,
    io_write_bytes      INTEGER,
    log_bytes           INTEGER NOT NULL,
    log_dropped_bytes   INTEGER NOT NULL,
    -- Last, so that a row's queried columns stay on its first page however long this is.
    spec                TEXT    NOT NULL
) STRICT;

-- Every index ends with seq, the rowid: a page of a listing is read in order from one or a few.
CREATE INDEX jobs_by_state ON jobs (state);
CREATE INDEX jobs_by_owner_and_state ON jobs (owner_uid, state);
