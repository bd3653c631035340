-- Who was erased, and what is deleted beside the log when somebody is.

create table identity.erasures
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    subject_id uuid not null,
    reason text not null,
    derived boolean not null,
    completed_at timestamptz,
    streams bigint,
    keys bigint,
    events bigint,
    plain_events bigint,
    rows bigint,
    messages bigint,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index erasures_created on identity.erasures (tenant_id, created_at, id);
create index erasures_subject on identity.erasures (tenant_id, subject_id, id);
select projections.register('identity.erasures');
