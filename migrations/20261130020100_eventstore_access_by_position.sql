-- What changed in rights is read by position alone, once: whatever else is in the condition may lead the planner, which does not know
-- how little `after` leaves, to another index, several times a second. And the head is found by its key: where sequential scans are
-- off, one of them looks so dear that PostgreSQL compiles the statement at every call.
create or replace function eventstore.access_changes(after bigint) returns table (head bigint, tenants uuid[], streams uuid[])
    language sql stable security definer set search_path = pg_catalog set enable_seqscan = off as
$$
    with recent as materialized (
        select e.domain, e.event_type, e.tenant_id, e.aggregate_id from eventstore.events e where e.position > after
    )
    select h.position,
           array(select distinct r.tenant_id from recent r where r.domain = 'identity' and r.event_type <> 'session.started'),
           array(select distinct r.aggregate_id from recent r where r.domain = 'portal' and r.event_type <> 'portal_session.started')
    from eventstore.head h
    where h.shard = 0
$$;
