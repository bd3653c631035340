-- The read tables of portal: persons at clients with a place in the portal.
-- Column order is the order of the row types.

create schema portal;

create table portal.portal_users
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    client_id uuid not null,
    contact_id uuid,
    name text not null,
    email text not null,
    status text not null,
    invitation_id uuid,
    invitation_expires_at timestamptz,
    activated_at timestamptz,
    scopes jsonb not null,
    locked_reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index portal_users_created on portal.portal_users (tenant_id, created_at, id);
create index portal_users_name on portal.portal_users (tenant_id, name, id);
create index portal_users_client on portal.portal_users (tenant_id, client_id, id);
create index portal_users_email on portal.portal_users (tenant_id, email);
select projections.register('portal.portal_users');
