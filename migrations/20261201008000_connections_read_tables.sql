-- Connections to providers as lists show them, with how they are. What opens the providers' doors is not here: it is sealed in the
-- schema `connect`, which no list reads.

create schema connections;
grant usage on schema connections to ubos_query, ubos_worker;

create table connections.connections
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    provider text not null,
    name text not null,
    status text not null,
    status_since timestamptz not null,
    account_id text,
    account_label text,
    authorised_at timestamptz,
    last_success_at timestamptz,
    last_error text,
    last_error_detail text,
    last_error_at timestamptz,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index connections_created on connections.connections (tenant_id, created_at, id);
create index connections_updated on connections.connections (tenant_id, updated_at, id);
create index connections_provider on connections.connections (tenant_id, provider, created_at, id);
create index connections_name on connections.connections (tenant_id, name, id);
create index connections_name_folded on connections.connections (tenant_id, name collate shared.folded);
create index connections_status on connections.connections (tenant_id, status, created_at, id);
create index connections_status_since on connections.connections (tenant_id, status_since, id);
create index connections_account on connections.connections (tenant_id, account_id, created_at, id) where account_id is not null;
create index connections_last_error on connections.connections (tenant_id, last_error, created_at, id) where last_error is not null;
select projections.register('connections.connections');
