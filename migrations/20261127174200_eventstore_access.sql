-- Who comes in to the portal is folded from portal's events, one person at a time: a firm has far more portal users than
-- users, and one that changes is no reason to fold the firm anew.

-- The events of some streams of portal, in their order.
create function eventstore.portal_events(tenant uuid, streams uuid[])
    returns table (aggregate_type text, aggregate_id uuid, event_type text, event_version integer, payload text)
    language sql stable security definer set search_path = pg_catalog as
$$
    select e.aggregate_type, e.aggregate_id, e.event_type, e.event_version, e.payload::text
    from eventstore.events e
    where e.tenant_id = tenant and e.aggregate_id = any(streams) and e.domain = 'portal'
    order by e.position
$$;

-- Where the log ends, the firms that have an event of identity after `after`, and the streams of portal that have one; none
-- if that is null. All are of one snapshot, and positions are in commit order, so nothing can come later at or before the
-- head that is answered. That somebody came in changes nothing for anybody else. Whoever asks does so several times a second, so what is
-- read by position is little, and needs no index that every append would pay for.
create function eventstore.access_changes(after bigint) returns table (head bigint, tenants uuid[], streams uuid[])
    language sql stable security definer set search_path = pg_catalog set enable_seqscan = off as
$$
    select h.position,
           array(select distinct e.tenant_id from eventstore.events e
                 where e.domain = 'identity' and e.event_type <> 'session.started' and e.position > after),
           array(select distinct e.aggregate_id from eventstore.events e
                 where e.domain = 'portal' and e.event_type <> 'portal_session.started' and e.position > after)
    from eventstore.head h
$$;

drop function eventstore.identity_changes(bigint);
revoke execute on function eventstore.portal_events(uuid, uuid[]), eventstore.access_changes(bigint) from public;
grant execute on function eventstore.portal_events(uuid, uuid[]), eventstore.access_changes(bigint)
    to ubos_command, ubos_query, ubos_worker;
