create table identity.subscribers
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
create index subscribers_created on identity.subscribers (tenant_id, created_at, id);
create index subscribers_name on identity.subscribers (tenant_id, name, id);
select projections.register('identity.subscribers');
