-- The write path in one call, and its reads. They work for many tenants at once, because commands of many tenants share
-- one commit, and run as their owner. PL/pgSQL keeps their plans, and planning costs more than running them; a plan made
-- while a table was small is kept until its statistics are renewed, hence nothing but look-ups through keys.

-- Appends a batch of commands, all of them or none: c_* has one element per command, e_* one per event in the order of
-- the log, k_* one per claim change, s_* one per snapshot; *_cmd is the command's place in c_*, from 1. c_last is the
-- place of a command's last event in e_*; 0 for a command without events, which only keeps its answer, at the c_position
-- that it was decided on. The caller puts no stream, key or claimed value into one batch twice, so commands of a batch
-- never depend on each other.
--
-- One row `appended` with the position before the batch; or else nothing is written, and there is a row for each command
-- that cannot be appended, the first of a command counts: replayed (stored answer of the same key), key_reused, conflict
-- (actual version), claimed (scope and holder). The caller leaves those out and comes again.
--
-- Few plain statements and no branch for a single command: starting a statement costs more than a row of it, and it is
-- what a command alone waits for (docs/adr/0006).
create function eventstore.append(
    c_tenant uuid[], c_type text[], c_id uuid[], c_expected bigint[], c_version bigint[], c_position bigint[],
    c_first integer[], c_last integer[], c_scope text[], c_key text[], c_fingerprint bytea[],
    e_tenant uuid[], e_aggregate_type text[], e_aggregate_id uuid[], e_sequence bigint[], e_metadata text[],
    e_id uuid[], e_type text[], e_version integer[], e_payload text[],
    k_cmd integer[], k_take boolean[], k_scope text[], k_value text[],
    s_cmd integer[], s_version bigint[], s_state_version integer[], s_state text[]
)
    returns table
            (
                cmd          bigint,
                outcome      text,
                aggregate_id uuid,
                version      bigint,
                "position"   bigint,
                created      boolean,
                detail       text
            )
    language plpgsql security definer set search_path = pg_catalog
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as
$$
#variable_conflict use_column
declare
    base    bigint;
    at      timestamptz;
    refused boolean;
begin
    select h.position into base from eventstore.head h where h.shard = 0 for update;
    -- Read after the lock, so that times never run against positions.
    at := clock_timestamp();

    return query
        select c.cmd,
               case
                   when i.fingerprint = c.fingerprint then 'replayed'
                   when i.fingerprint is not null then 'key_reused'
                   else 'conflict' end,
               i.aggregate_id, coalesce(i.version, s.version, 0), coalesce(i.position, s.position, 0), i.created,
               null::text
        from unnest(c_tenant, c_type, c_id, c_expected, c_scope, c_key, c_fingerprint)
                 with ordinality as c(tenant_id, aggregate_type, aggregate_id, expected, scope, key, fingerprint, cmd)
                 left join eventstore.idempotency i
                           on i.tenant_id = c.tenant_id and i.scope = c.scope and i.key = c.key
                 left join eventstore.streams s
                           on s.tenant_id = c.tenant_id and s.aggregate_id = c.aggregate_id
                               and s.aggregate_type = c.aggregate_type
        where i.tenant_id is not null or coalesce(s.version, 0) <> c.expected;
    refused := found;
    if cardinality(k_cmd) > 0 then
        return query
            select k.cmd::bigint, 'claimed', held.aggregate_id, 0::bigint, 0::bigint, null::boolean, held.scope
            from unnest(k_cmd, k_take, k_scope, k_value) as k(cmd, take, scope, value)
                     join unnest(c_tenant, c_type, c_id)
                              with ordinality as c(tenant_id, aggregate_type, aggregate_id, cmd) on c.cmd = k.cmd
                     join eventstore.claims held
                          on held.tenant_id = c.tenant_id and held.scope = k.scope and held.value = k.value
            where k.take
              and (held.aggregate_type, held.aggregate_id) <> (c.aggregate_type, c.aggregate_id);
        refused := refused or found;
    end if;
    if refused then
        return;
    end if;

    if cardinality(e_id) > 0 then
        update eventstore.head h set position = base + cardinality(e_id) where h.shard = 0;
        insert into eventstore.events
        select base + e.ord, e.id, e.tenant_id, split_part(e.aggregate_type, '.', 1), e.aggregate_type, e.aggregate_id,
               e.sequence, e.type, e.version, e.payload::jsonb, e.metadata::jsonb, at
        from unnest(e_id, e_tenant, e_aggregate_type, e_aggregate_id, e_sequence, e_type, e_version, e_payload, e_metadata)
                 with ordinality as e(id, tenant_id, aggregate_type, aggregate_id, sequence, type, version, payload,
                                      metadata, ord);
    end if;
    if 0 = any (c_expected) then
        insert into eventstore.streams
        select c.tenant_id, c.aggregate_type, c.aggregate_id, c.version, base + c.first, base + c.last
        from unnest(c_tenant, c_type, c_id, c_expected, c_version, c_first, c_last)
                 as c(tenant_id, aggregate_type, aggregate_id, expected, version, first, last)
        where c.expected = 0 and c.last > 0;
    end if;
    if 0 < any (c_expected) then
        update eventstore.streams s
        set version = c.version, position = base + c.last
        from unnest(c_tenant, c_type, c_id, c_expected, c_version, c_last)
                 as c(tenant_id, aggregate_type, aggregate_id, expected, version, last)
        where s.tenant_id = c.tenant_id and s.aggregate_id = c.aggregate_id and s.aggregate_type = c.aggregate_type
          and c.expected > 0 and c.last > 0;
    end if;
    insert into eventstore.idempotency
    select c.tenant_id, c.scope, c.key, c.fingerprint, c.aggregate_id, c.version,
           case c.last when 0 then c.position else base + c.last end, c.expected = 0, at
    from unnest(c_tenant, c_id, c_expected, c_version, c_position, c_last, c_scope, c_key, c_fingerprint)
             as c(tenant_id, aggregate_id, expected, version, position, last, scope, key, fingerprint)
    where c.key is not null;
    if cardinality(k_cmd) > 0 then
        delete from eventstore.claims held
            using unnest(k_cmd, k_take, k_scope, k_value) as k(cmd, take, scope, value)
                join unnest(c_tenant, c_type, c_id)
                         with ordinality as c(tenant_id, aggregate_type, aggregate_id, cmd) on c.cmd = k.cmd
            where not k.take
                and held.tenant_id = c.tenant_id and held.scope = k.scope and held.value = k.value
                and held.aggregate_type = c.aggregate_type and held.aggregate_id = c.aggregate_id;
        insert into eventstore.claims
        select c.tenant_id, k.scope, k.value, c.aggregate_type, c.aggregate_id
        from unnest(k_cmd, k_take, k_scope, k_value) as k(cmd, take, scope, value)
                 join unnest(c_tenant, c_type, c_id)
                          with ordinality as c(tenant_id, aggregate_type, aggregate_id, cmd) on c.cmd = k.cmd
        where k.take
        on conflict do nothing;
    end if;
    if cardinality(s_cmd) > 0 then
        insert into eventstore.snapshots
        select c.tenant_id, c.aggregate_type, c.aggregate_id, s.version, s.state_version, s.state::jsonb
        from unnest(s_cmd, s_version, s_state_version, s_state) as s(cmd, version, state_version, state)
                 join unnest(c_tenant, c_type, c_id)
                          with ordinality as c(tenant_id, aggregate_type, aggregate_id, cmd) on c.cmd = s.cmd
        on conflict (tenant_id, aggregate_id, aggregate_type)
            do update set version       = excluded.version,
                          state_version = excluded.state_version,
                          state         = excluded.state;
    end if;
    return query select 0::bigint, 'appended', null::uuid, 0::bigint, base, null::boolean, null::text;
end
$$;

-- Loads streams: for each asked (tenant, type, id), in order, its snapshot (sequence null, if of `state_version`) and
-- the events after it.
create function eventstore.load(tenants uuid[], types text[], ids uuid[], state_versions integer[])
    returns table
            (
                stream        bigint,
                sequence      bigint,
                "position"    bigint,
                event_type    text,
                event_version integer,
                payload       text
            )
    language plpgsql stable security definer set search_path = pg_catalog
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off rows 100 as
$$
#variable_conflict use_column
begin
    return query
        with asked as materialized (
            select a.stream, s.tenant_id, s.aggregate_type, s.aggregate_id, s.first_position, s.position,
                   coalesce(snap.version, 0) as covered, snap.state, snap.version as snapshot_version
            from unnest(tenants, types, ids, state_versions)
                     with ordinality as a(tenant_id, aggregate_type, aggregate_id, state_version, stream)
                     join eventstore.streams s
                          on s.tenant_id = a.tenant_id and s.aggregate_id = a.aggregate_id and s.aggregate_type = a.aggregate_type
                     left join eventstore.snapshots snap
                               on snap.tenant_id = a.tenant_id and snap.aggregate_id = a.aggregate_id
                                   and snap.aggregate_type = a.aggregate_type and snap.state_version = a.state_version
        )
        select asked.stream, null, asked.position, null, asked.snapshot_version::integer, asked.state::text
        from asked
        where asked.state is not null
        union all
        (select asked.stream, e.sequence, e.position, e.event_type, e.event_version, e.payload::text
         from asked
                  join eventstore.events e
                       on e.tenant_id = asked.tenant_id and e.aggregate_id = asked.aggregate_id
                           and e.aggregate_type = asked.aggregate_type and e.sequence > asked.covered
                           -- Bounds the partitions that are looked into.
                           and e.position between asked.first_position and asked.position
         order by asked.stream, e.sequence);
end
$$;

-- What was written in these stretches of the log, in order, so that a process sees what others did to the streams that it
-- remembers. Without the payload where that is large: whoever needs it loads the stream.
create function eventstore.written(after_positions bigint[], up_to_positions bigint[])
    returns table
            (
                tenant_id      uuid,
                aggregate_type text,
                aggregate_id   uuid,
                sequence       bigint,
                "position"     bigint,
                event_type     text,
                event_version  integer,
                payload        text
            )
    language plpgsql stable security definer set search_path = pg_catalog
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off rows 100 as
$$
#variable_conflict use_column
begin
    return query
        select e.tenant_id, e.aggregate_type, e.aggregate_id, e.sequence, e.position, e.event_type, e.event_version,
               case when pg_column_size(e.payload) < 16384 then e.payload::text end
        from unnest(after_positions, up_to_positions) as r(after_position, up_to_position)
                 join eventstore.events e on e.position > r.after_position and e.position <= r.up_to_position
        order by e.position;
end
$$;

-- Who holds these claims: one row per held one, with its place in the arrays.
create function eventstore.holders(tenants uuid[], scopes text[], claimed text[])
    returns table (claim bigint, aggregate_type text, aggregate_id uuid)
    language plpgsql stable security definer set search_path = pg_catalog
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off rows 10 as
$$
#variable_conflict use_column
begin
    return query
        select a.claim, c.aggregate_type, c.aggregate_id
        from unnest(tenants, scopes, claimed) with ordinality as a(tenant_id, scope, value, claim)
                 join eventstore.claims c on c.tenant_id = a.tenant_id and c.scope = a.scope and c.value = a.value;
end
$$;

-- The stored answer of a key, if there is one.
create function eventstore.answer(tenant uuid, key_scope text, idempotency_key text)
    returns table (fingerprint bytea, aggregate_id uuid, version bigint, "position" bigint, created boolean)
    language plpgsql stable security definer set search_path = pg_catalog
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off rows 1 as
$$
#variable_conflict use_column
begin
    return query
        select i.fingerprint, i.aggregate_id, i.version, i.position, i.created
        from eventstore.idempotency i
        where i.tenant_id = tenant and i.scope = key_scope and i.key = idempotency_key;
end
$$;

-- Which of these events are in the log, asked after a lost connection left a batch's outcome unknown. Taking the head
-- lock first waits for the lost transaction to end if it already holds the lock.
create function eventstore.settled(c_tenant uuid[], c_id uuid[], c_sequence bigint[], c_event uuid[])
    returns table (cmd bigint, "position" bigint)
    language plpgsql security definer set search_path = pg_catalog as
$$
#variable_conflict use_column
begin
    perform 1 from eventstore.head h where h.shard = 0 for update;
    return query
        select a.cmd, e.position
        from unnest(c_tenant, c_id, c_sequence, c_event) with ordinality as a(tenant_id, id, sequence, event_id, cmd)
                 join eventstore.events e
                      on e.tenant_id = a.tenant_id and e.aggregate_id = a.id and e.sequence = a.sequence
        where e.event_id = a.event_id;
end
$$;

-- Answers older than this may be forgotten; called by the relay's leader.
create function eventstore.forget_answers(older_than interval) returns bigint
    language sql security definer set search_path = pg_catalog as
$$
with gone as (delete from eventstore.idempotency where recorded_at < now() - greatest(older_than, interval '24 hours') returning 1)
select count(*) from gone
$$;

do
$$
declare
    f regprocedure;
begin
    for f in select p.oid::regprocedure from pg_proc p where p.pronamespace = 'eventstore'::regnamespace loop
        execute format('revoke execute on function %s from public', f);
    end loop;
end
$$;
grant execute on function
    eventstore.append(uuid[], text[], uuid[], bigint[], bigint[], bigint[], integer[], integer[], text[], text[], bytea[], uuid[], text[], uuid[], bigint[], text[], uuid[], text[], integer[], text[], integer[], boolean[], text[], text[], integer[], bigint[], integer[], text[]),
    eventstore.load(uuid[], text[], uuid[], integer[]),
    eventstore.written(bigint[], bigint[]),
    eventstore.holders(uuid[], text[], text[]),
    eventstore.answer(uuid, text, text),
    eventstore.settled(uuid[], uuid[], bigint[], uuid[])
    to ubos_command, ubos_worker;
grant execute on function eventstore.forget_answers(interval) to ubos_worker;
