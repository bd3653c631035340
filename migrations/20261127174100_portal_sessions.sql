-- Portal users' rights as the rows show them, and their sessions. Column order is the order of the row types.
alter table portal.portal_users add column grants jsonb not null default '[]';

create table portal.portal_sessions
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    portal_user_id uuid not null,
    client_id uuid not null,
    ends_at timestamptz not null,
    user_agent text,
    ended_at timestamptz,
    ended_reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index portal_sessions_created on portal.portal_sessions (tenant_id, created_at, id);
create index portal_sessions_user on portal.portal_sessions (tenant_id, portal_user_id, id);
create index portal_sessions_client on portal.portal_sessions (tenant_id, client_id, id);
select projections.register('portal.portal_sessions');
