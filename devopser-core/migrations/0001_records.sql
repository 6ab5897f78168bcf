-- The records: what a host may keep in its own database instead.
-- Columns are TEXT and BIGINT only, JSON is TEXT, times are milliseconds since 1970: the same on SQLite and PostgreSQL.

CREATE TABLE devopser_records (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, id)
);
CREATE INDEX devopser_records_newest ON devopser_records (tenant, kind, created_at, id);
CREATE INDEX devopser_records_of_target ON devopser_records (tenant, kind, target, created_at, id);

-- 'removed_revision': the highest revision of a removed record. New records begin above it, so that no revision of an id
-- is given twice.
CREATE TABLE devopser_counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

-- The last sequence of each deployment. Writers take their numbers here, so that there are no gaps.
CREATE TABLE devopser_event_heads (
    tenant TEXT NOT NULL,
    deployment TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (tenant, deployment)
);

CREATE TABLE devopser_events (
    tenant TEXT NOT NULL,
    deployment TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, deployment, seq)
);
