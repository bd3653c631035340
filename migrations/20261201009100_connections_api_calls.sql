-- Calls to providers' own APIs as lists show them: what was asked for, and what became of it. Of an answer there is only what was wanted.
create table connections.api_calls
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    connection_id uuid not null,
    provider text collate "C" not null,
    method text collate "C" not null,
    path jsonb not null,
    status text collate "C" not null,
    answer_status bigint,
    answer_values jsonb not null,
    failure text,
    reason text,
    happened boolean,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index api_calls_created on connections.api_calls (tenant_id, created_at, id);
create index api_calls_updated on connections.api_calls (tenant_id, updated_at, id);
create index api_calls_connection on connections.api_calls (tenant_id, connection_id, created_at, id);
create index api_calls_provider on connections.api_calls (tenant_id, provider, created_at, id);
create index api_calls_status on connections.api_calls (tenant_id, status, created_at, id);
select projections.register('connections.api_calls');
