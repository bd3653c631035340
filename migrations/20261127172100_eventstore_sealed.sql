-- What is personal in an event is sealed with a key of its stream. The key is written with the first event that needs it, in
-- the same statement, and read with the stream (docs/adr/0021).

-- The append as it was (20261127100100), and the keys of streams that had none: n_* has one element per key, n_cmd is its
-- command's place in c_*.
drop function eventstore.append(uuid[], text[], uuid[], bigint[], bigint[], bigint[], integer[], integer[], text[], text[], bytea[], uuid[], text[], uuid[], bigint[], text[], uuid[], text[], integer[], text[], integer[], boolean[], text[], text[], integer[], bigint[], integer[], text[]);
create function eventstore.append(
    c_tenant uuid[], c_type text[], c_id uuid[], c_expected bigint[], c_version bigint[], c_position bigint[],
    c_first integer[], c_last integer[], c_scope text[], c_key text[], c_fingerprint bytea[],
    e_tenant uuid[], e_aggregate_type text[], e_aggregate_id uuid[], e_sequence bigint[], e_metadata text[],
    e_id uuid[], e_type text[], e_version integer[], e_payload text[],
    k_cmd integer[], k_take boolean[], k_scope text[], k_value text[],
    s_cmd integer[], s_version bigint[], s_state_version integer[], s_state text[],
    n_cmd integer[] default '{}', n_generation integer[] default '{}', n_wrapped bytea[] default '{}'
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
    set plan_cache_mode = force_generic_plan set enable_seqscan = off as
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
                 left join lateral (
            select i.*
            from eventstore.idempotency i
            where i.tenant_id = c.tenant_id and i.scope = c.scope and i.key = c.key
            limit 1
            ) i on true
                 left join lateral (
            select s.version, s.position
            from eventstore.streams s
            where s.tenant_id = c.tenant_id and s.aggregate_id = c.aggregate_id and s.aggregate_type = c.aggregate_type
            limit 1
            ) s on true
        where i.tenant_id is not null or coalesce(s.version, 0) <> c.expected;
    refused := found;
    if cardinality(k_cmd) > 0 then
        return query
            select k.cmd::bigint, 'claimed', held.aggregate_id, 0::bigint, 0::bigint, null::boolean, held.scope
            from unnest(k_cmd, k_take, k_scope, k_value) as k(cmd, take, scope, value)
                     cross join lateral (
                select h.*
                from eventstore.claims h
                where h.tenant_id = c_tenant[k.cmd] and h.scope = k.scope and h.value = k.value
                limit 1
                ) held
            where k.take
              and (held.aggregate_type, held.aggregate_id) <> (c_type[k.cmd], c_id[k.cmd]);
        refused := refused or found;
    end if;
    if refused then
        return;
    end if;

    if cardinality(e_id) > 0 then
        update eventstore.head h set position = base + cardinality(e_id) where h.shard = 0;
        insert into eventstore.events
        select base + e.ord, e.id, e.tenant_id, split_part(e.aggregate_type, '.', 1), e.aggregate_type, e.aggregate_id,
               e.sequence, e.type, e.version, e.payload::json, e.metadata::json, at
        from unnest(e_id, e_tenant, e_aggregate_type, e_aggregate_id, e_sequence, e_type, e_version, e_payload, e_metadata)
                 with ordinality as e(id, tenant_id, aggregate_type, aggregate_id, sequence, type, version, payload,
                                      metadata, ord);
    end if;
    insert into eventstore.streams
    select c.tenant_id, c.aggregate_type, c.aggregate_id, c.version, base + c.first, base + c.last
    from unnest(c_tenant, c_type, c_id, c_version, c_first, c_last)
             as c(tenant_id, aggregate_type, aggregate_id, version, first, last)
    where c.last > 0
    on conflict (tenant_id, aggregate_id, aggregate_type)
        do update set version = excluded.version, position = excluded.position;
    insert into eventstore.idempotency
    select c.tenant_id, c.scope, c.key, c.fingerprint, c.aggregate_id, c.version,
           case c.last when 0 then c.position else base + c.last end, c.expected = 0, at
    from unnest(c_tenant, c_id, c_expected, c_version, c_position, c_last, c_scope, c_key, c_fingerprint)
             as c(tenant_id, aggregate_id, expected, version, position, last, scope, key, fingerprint)
    where c.key is not null;
    if cardinality(k_cmd) > 0 then
        -- Nobody else changes claims while the head is locked, so a row stays where it was found.
        delete from eventstore.claims
        where ctid = any (array(
            select held.ctid
            from unnest(k_cmd, k_take, k_scope, k_value) as k(cmd, take, scope, value)
                     cross join lateral (
                select h.ctid
                from eventstore.claims h
                where h.tenant_id = c_tenant[k.cmd] and h.scope = k.scope and h.value = k.value
                  and h.aggregate_type = c_type[k.cmd] and h.aggregate_id = c_id[k.cmd]
                limit 1
                ) held
            where not k.take));
        insert into eventstore.claims
        select c_tenant[k.cmd], k.scope, k.value, c_type[k.cmd], c_id[k.cmd]
        from unnest(k_cmd, k_take, k_scope, k_value) as k(cmd, take, scope, value)
        where k.take
        on conflict do nothing;
    end if;
    if cardinality(n_cmd) > 0 then
        insert into vault.subject_keys (tenant_id, subject_id, generation, wrapped)
        select c_tenant[n.cmd], c_id[n.cmd], n.generation, n.wrapped
        from unnest(n_cmd, n_generation, n_wrapped) as n(cmd, generation, wrapped);
    end if;
    if cardinality(s_cmd) > 0 then
        insert into eventstore.snapshots
        select c_tenant[s.cmd], c_type[s.cmd], c_id[s.cmd], s.version, s.state_version, s.state::jsonb
        from unnest(s_cmd, s_version, s_state_version, s_state) as s(cmd, version, state_version, state)
        on conflict (tenant_id, aggregate_id, aggregate_type)
            do update set version       = excluded.version,
                          state_version = excluded.state_version,
                          state         = excluded.state;
    end if;
    return query select 0::bigint, 'appended', null::uuid, 0::bigint, base, null::boolean, null::text;
end
$$;
revoke execute on function
    eventstore.append(uuid[], text[], uuid[], bigint[], bigint[], bigint[], integer[], integer[], text[], text[], bytea[], uuid[], text[], uuid[], bigint[], text[], uuid[], text[], integer[], text[], integer[], boolean[], text[], text[], integer[], bigint[], integer[], text[], integer[], integer[], bytea[])
    from public;
grant execute on function
    eventstore.append(uuid[], text[], uuid[], bigint[], bigint[], bigint[], integer[], integer[], text[], text[], bytea[], uuid[], text[], uuid[], bigint[], text[], uuid[], text[], integer[], text[], integer[], boolean[], text[], text[], integer[], bigint[], integer[], text[], integer[], integer[], bytea[])
    to ubos_command, ubos_worker;

-- The load as it was (20261123100200), and the keys of the stream: without a sequence, the event type empty, in the place of
-- the version the generation, in that of the payload the wrapped key in hexadecimal, empty if it was destroyed.
create or replace function eventstore.load(tenants uuid[], types text[], ids uuid[], state_versions integer[])
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
        select asked.stream, null::bigint, asked.position, null::text, asked.snapshot_version::integer, asked.state::text
        from asked
        where asked.state is not null
        union all
        select asked.stream, null::bigint, asked.position, '', k.generation, coalesce(encode(k.wrapped, 'hex'), '')
        from asked
                 cross join lateral (
            select k.generation, k.wrapped
            from vault.subject_keys k
            where k.tenant_id = asked.tenant_id and k.subject_id = asked.aggregate_id
            -- Keeps it a subquery.
            offset 0
            ) k
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
