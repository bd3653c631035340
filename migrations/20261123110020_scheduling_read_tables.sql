-- The read tables of scheduling: appointments, what can be booked, and when.
-- Column order is the order of the row types.

create schema scheduling;

create table scheduling.appointments
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    status text not null,
    event_type_id uuid not null,
    event_type_key text not null,
    event_type_name text not null,
    host_id uuid not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    time_zone text not null,
    client_name text not null,
    invitee_name text not null,
    invitee_email text not null,
    invitee_phone text,
    company text,
    notes text,
    manage_path text not null,
    cancel_path text not null,
    reschedule_requested boolean not null,
    cancelled_by text,
    reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index appointments_created on scheduling.appointments (tenant_id, created_at, id);
create index appointments_starts on scheduling.appointments (tenant_id, starts_at, id);
create index appointments_host on scheduling.appointments (tenant_id, host_id, starts_at);
create index appointments_invitee on scheduling.appointments (tenant_id, invitee_email);
select projections.register('scheduling.appointments');

create table scheduling.availabilities
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    host_id uuid not null,
    time_zone text not null,
    weekly jsonb not null,
    overrides jsonb not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index availabilities_created on scheduling.availabilities (tenant_id, created_at, id);
create index availabilities_host on scheduling.availabilities (tenant_id, host_id);
select projections.register('scheduling.availabilities');

create table scheduling.event_types
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    key text not null,
    name text not null,
    description text,
    host_id uuid not null,
    availability_id uuid not null,
    duration_minutes bigint not null,
    buffer_before_minutes bigint not null,
    buffer_after_minutes bigint not null,
    min_notice_minutes bigint not null,
    max_days_ahead bigint not null,
    requires_confirmation boolean not null,
    retired boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index event_types_created on scheduling.event_types (tenant_id, created_at, id);
create index event_types_key on scheduling.event_types (tenant_id, key, id);
select projections.register('scheduling.event_types');
