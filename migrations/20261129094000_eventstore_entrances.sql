-- A session opens what the log began, and nothing that only stands in Redis. How one began is read once by each process, like
-- portal users and their sessions, and stays as it is; that a user's session was ended is an event of the firm.

-- The events of some streams that say who comes in, in their order: portal users and sessions of either kind.
create function eventstore.entrances(tenant uuid, streams uuid[])
    returns table (aggregate_type text, aggregate_id uuid, event_type text, event_version integer, payload text)
    language sql stable security definer set search_path = pg_catalog as
$$
    select e.aggregate_type, e.aggregate_id, coalesce(fix.event_type, e.event_type),
           coalesce(fix.event_version, e.event_version), coalesce(fix.payload, e.payload)::text
    from eventstore.events e left join eventstore.repairs fix on fix.position = e.position
    where e.tenant_id = tenant and e.aggregate_id = any(streams)
      and (e.domain = 'portal' or e.aggregate_type = 'identity.session')
    order by e.position
$$;

drop function eventstore.portal_events(uuid, uuid[]);
revoke execute on function eventstore.entrances(uuid, uuid[]) from public;
grant execute on function eventstore.entrances(uuid, uuid[]) to ubos_command, ubos_query, ubos_worker;
