-- Endpoints that are sent the firm's events, as lists show them.
create table connections.webhook_endpoints
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    url text not null,
    events jsonb not null,
    delivery_order text collate "C" not null,
    description text,
    status text collate "C" not null,
    status_since timestamptz not null,
    status_detail text,
    disabled_because text collate "C",
    secret_rotated_at timestamptz not null,
    previous_secret_until timestamptz,
    last_tested_at timestamptz,
    last_replay_at timestamptz,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index webhook_endpoints_created on connections.webhook_endpoints (tenant_id, created_at, id);
create index webhook_endpoints_updated on connections.webhook_endpoints (tenant_id, updated_at, id);
create index webhook_endpoints_status on connections.webhook_endpoints (tenant_id, status, created_at, id);
select projections.register('connections.webhook_endpoints');
