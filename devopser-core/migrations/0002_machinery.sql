-- The machinery: what the engine must remember across tenants. It lives in the runtime's database.

CREATE TABLE devopser_settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE devopser_queue (
    deployment TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    taken BIGINT NOT NULL,
    cancel TEXT,
    created_at BIGINT NOT NULL
);
-- One run at a time is taken for a target.
CREATE UNIQUE INDEX devopser_queue_taken ON devopser_queue (tenant, app, environment) WHERE taken = 1;
CREATE INDEX devopser_queue_oldest ON devopser_queue (created_at, deployment);

CREATE TABLE devopser_idempotency_keys (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    deployment TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);

-- A lease that was given back keeps its row without a holder: the epoch must never go back.
CREATE TABLE devopser_leases (
    name TEXT PRIMARY KEY,
    holder TEXT,
    epoch BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE devopser_resources (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    deployment TEXT,
    provider TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    provider_ref TEXT,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_error TEXT,
    UNIQUE (provider, kind, name)
);
CREATE INDEX devopser_resources_of_target ON devopser_resources (tenant, app, environment, created_at, id);

CREATE TABLE devopser_ports (
    port BIGINT PRIMARY KEY,
    tenant TEXT NOT NULL,
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    UNIQUE (tenant, app, environment)
);

CREATE TABLE devopser_secrets (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    sealed TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
);
