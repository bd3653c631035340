-- Who comes in and what they may do is folded from identity's events by every service, so these are found without reading
-- the others. The index holds identity's events only.
create index events_identity on eventstore.events (tenant_id, position) where domain = 'identity';

-- A firm's events of identity in their order. There are many sessions, and it only matters which of those that could still
-- be shown were ended.
create function eventstore.identity_events(tenant uuid)
    returns table (aggregate_type text, aggregate_id uuid, event_type text, event_version integer, payload text)
    language sql stable security definer set search_path = pg_catalog as
$$
    select e.aggregate_type, e.aggregate_id, e.event_type, e.event_version, e.payload::text
    from eventstore.events e
    where e.tenant_id = tenant and e.domain = 'identity'
      and (e.aggregate_type <> 'identity.session'
           or e.event_type = 'session.ended' and e.recorded_at > now() - interval '90 days')
    order by e.position
$$;

-- Where the log ends, and the firms that have an event of identity after `after`; none if that is null. Both are of one
-- snapshot, and positions are in commit order, so nothing can come later at or before the head that is answered.
create function eventstore.identity_changes(after bigint) returns table (head bigint, tenants uuid[])
    language sql stable security definer set search_path = pg_catalog as
$$
    select h.position,
           array(select distinct e.tenant_id from eventstore.events e where e.domain = 'identity' and e.event_type <> 'session.started' and e.position > after)
    from eventstore.head h
$$;

revoke execute on function eventstore.identity_events(uuid), eventstore.identity_changes(bigint) from public;
grant execute on function eventstore.identity_events(uuid), eventstore.identity_changes(bigint)
    to ubos_command, ubos_query, ubos_worker;
