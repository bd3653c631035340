create table identity.integrators
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text not null,
    expires_at timestamptz,
    rotated_at timestamptz,
    previous_until timestamptz,
    revoked_at timestamptz,
    revoked_reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index integrators_created on identity.integrators (tenant_id, created_at, id);
create index integrators_name on identity.integrators (tenant_id, name, id);
select projections.register('identity.integrators');
