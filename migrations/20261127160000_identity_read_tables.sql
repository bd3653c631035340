-- The read tables of identity: firms, users, roles, teams, service accounts, API keys and sessions.
-- Column order is the order of the row types.

create schema identity;

create table identity.tenants
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text not null,
    status text not null,
    trial_ends_at timestamptz not null,
    owners jsonb not null,
    suspended_reason text,
    purge_at timestamptz,
    primary key (tenant_id, id)
) with (fillfactor = 85);
select projections.register('identity.tenants');

create table identity.users
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    email text not null,
    name text not null,
    status text not null,
    roles jsonb not null,
    invitation_id uuid,
    invitation_expires_at timestamptz,
    activated_at timestamptz,
    login_issuers jsonb not null,
    reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index users_created on identity.users (tenant_id, created_at, id);
create index users_name on identity.users (tenant_id, name, id);
create index users_email on identity.users (tenant_id, email);
select projections.register('identity.users');

create table identity.roles
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text not null,
    description text not null,
    patterns jsonb not null,
    withdrawn boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index roles_created on identity.roles (tenant_id, created_at, id);
create index roles_name on identity.roles (tenant_id, name, id);
select projections.register('identity.roles');

create table identity.teams
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text not null,
    members jsonb not null,
    disbanded boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index teams_created on identity.teams (tenant_id, created_at, id);
create index teams_name on identity.teams (tenant_id, name, id);
select projections.register('identity.teams');

create table identity.service_accounts
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text not null,
    roles jsonb not null,
    disabled boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index service_accounts_created on identity.service_accounts (tenant_id, created_at, id);
create index service_accounts_name on identity.service_accounts (tenant_id, name, id);
select projections.register('identity.service_accounts');

create table identity.api_keys
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text not null,
    principal_kind text not null,
    principal_id uuid not null,
    scopes jsonb not null,
    expires_at timestamptz,
    rotated_at timestamptz,
    previous_until timestamptz,
    revoked_at timestamptz,
    revoked_reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index api_keys_created on identity.api_keys (tenant_id, created_at, id);
create index api_keys_name on identity.api_keys (tenant_id, name, id);
create index api_keys_principal on identity.api_keys (tenant_id, principal_id, id);
select projections.register('identity.api_keys');

create table identity.sessions
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    user_id uuid not null,
    issuer text not null,
    ends_at timestamptz not null,
    user_agent text,
    ended_at timestamptz,
    ended_reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index sessions_created on identity.sessions (tenant_id, created_at, id);
create index sessions_user on identity.sessions (tenant_id, user_id, id);
select projections.register('identity.sessions');
