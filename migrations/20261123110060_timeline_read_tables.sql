-- The read table of timeline: one row per event. Rows are written once.
-- Column order is the order of the row types.

create schema timeline;

create table timeline.activity_events
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    event_type text not null,
    domain text not null,
    aggregate_type text not null,
    aggregate_id uuid not null,
    client_id uuid,
    actor_kind text not null,
    actor text not null,
    correlation_id uuid not null,
    summary text not null,
    primary key (tenant_id, id)
);
create index activity_events_created on timeline.activity_events (tenant_id, created_at, id);
create index activity_events_aggregate on timeline.activity_events (tenant_id, aggregate_id, created_at, id);
create index activity_events_client on timeline.activity_events (tenant_id, client_id, created_at, id) where client_id is not null;
create index activity_events_correlation on timeline.activity_events (tenant_id, correlation_id);
select projections.register('timeline.activity_events');
