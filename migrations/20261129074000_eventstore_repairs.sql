-- What an event that cannot be applied is read as (docs/adr/0027). The log stays as it was written; whoever reads it finds
-- here, by position, what an operator put in its place, and the event `event.repaired` says who did and why.
create table eventstore.repairs
(
    position      bigint      not null primary key,
    tenant_id     uuid        not null,
    event_type    text        not null,
    event_version integer     not null,
    -- Sealed like the log's own payloads.
    payload       json        not null,
    reason        text        not null,
    repaired_at   timestamptz not null default clock_timestamp()
);
select shared.secure_tenant_table('eventstore.repairs', '{ubos_command,ubos_query,ubos_worker}', '{}');

-- A snapshot may have been made of what is repaired, so it goes.
create function eventstore.repair(of_position bigint, as_type text, as_version integer, as_payload text, why text)
    returns void
    language plpgsql security definer set search_path = pg_catalog as
$$
declare
    e record;
begin
    -- Nobody appends meanwhile.
    perform 1 from eventstore.head h where h.shard = 0 for update;
    select tenant_id, aggregate_type, aggregate_id into strict e from eventstore.events where position = of_position;
    insert into eventstore.repairs (position, tenant_id, event_type, event_version, payload, reason)
    values (of_position, e.tenant_id, as_type, as_version, as_payload::json, why)
    on conflict (position) do update
        set event_type = excluded.event_type, event_version = excluded.event_version, payload = excluded.payload,
            reason = excluded.reason, repaired_at = clock_timestamp();
    delete from eventstore.snapshots s
    where s.tenant_id = e.tenant_id and s.aggregate_type = e.aggregate_type and s.aggregate_id = e.aggregate_id;
end
$$;
revoke execute on function eventstore.repair(bigint, text, integer, text, text) from public;
grant execute on function eventstore.repair(bigint, text, integer, text, text) to ubos_worker;

-- The functions that read the log are as they were, but for the repairs.
do
$$
declare
    f    text;
    made text;
begin
    foreach f in array array ['eventstore.load(uuid[],text[],uuid[],integer[])', 'eventstore.identity_events(uuid)',
                              'eventstore.portal_events(uuid,uuid[])'] loop
        made := pg_get_functiondef(f::regprocedure);
        made := replace(made, 'e.event_type, e.event_version, e.payload::text',
                        'coalesce(fix.event_type, e.event_type), coalesce(fix.event_version, e.event_version), coalesce(fix.payload, e.payload)::text');
        if f like 'eventstore.load%' then
            made := replace(made, 'and e.position between asked.first_position and asked.position',
                            'and e.position between asked.first_position and asked.position
                  left join eventstore.repairs fix on fix.position = e.position');
        else
            made := replace(made, 'from eventstore.events e', 'from eventstore.events e left join eventstore.repairs fix on fix.position = e.position');
        end if;
        if (length(made) - length(replace(made, 'fix.', ''))) / 4 < 4 then
            raise exception '% is not as it was when this was written', f;
        end if;
        execute made;
    end loop;
end
$$;
