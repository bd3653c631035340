-- Two things that an append can do besides (otherwise the functions are as they were: 20261127172100, 20261123100200):
-- * A command may ask that nobody else holds a claim, without taking it: `null` in `k_take`. So a context learns within the
--   append whether a flag of another one's aggregate is up, such as that a client is blocked, and nothing comes between
--   (docs/adr/0031).
-- * An answer tells the ids of the parts that a command made, such as a task of a project, and so does the stored answer that
--   a repeat gets: the key keeps them (`c_parts`, JSON text; null where nothing was made).
alter table eventstore.idempotency add column parts text;

drop function eventstore.append(uuid[], text[], uuid[], bigint[], bigint[], bigint[], integer[], integer[], text[], text[],
    bytea[], uuid[], text[], uuid[], bigint[], text[], uuid[], text[], integer[], text[], integer[], boolean[], text[],
    text[], integer[], bigint[], integer[], text[], integer[], integer[], bytea[]);
create function eventstore.append(
    c_tenant uuid[], c_type text[], c_id uuid[], c_expected bigint[], c_version bigint[], c_position bigint[],
    c_first integer[], c_last integer[], c_scope text[], c_key text[], c_fingerprint bytea[],
    e_tenant uuid[], e_aggregate_type text[], e_aggregate_id uuid[], e_sequence bigint[], e_metadata text[],
    e_id uuid[], e_type text[], e_version integer[], e_payload text[],
    k_cmd integer[], k_take boolean[], k_scope text[], k_value text[],
    s_cmd integer[], s_version bigint[], s_state_version integer[], s_state text[],
    n_cmd integer[] default '{}', n_generation integer[] default '{}', n_wrapped bytea[] default '{}',
    c_parts text[] default '{}'
)
    returns table
            (
                cmd          bigint,
                outcome      text,
                aggregate_id uuid,
                version      bigint,
                "position"   bigint,
                created      boolean,
                detail       text,
                parts        text
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
               null::text, i.parts
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
            select k.cmd::bigint, 'claimed', held.aggregate_id, 0::bigint, 0::bigint, null::boolean, held.scope,
                   null::text
            from unnest(k_cmd, k_take, k_scope, k_value) as k(cmd, take, scope, value)
                     cross join lateral (
                select h.*
                from eventstore.claims h
                where h.tenant_id = c_tenant[k.cmd] and h.scope = k.scope and h.value = k.value
                limit 1
                ) held
            where k.take is distinct from false
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
        (tenant_id, scope, key, fingerprint, aggregate_id, version, position, created, recorded_at, parts)
    select c.tenant_id, c.scope, c.key, c.fingerprint, c.aggregate_id, c.version,
           case c.last when 0 then c.position else base + c.last end, c.expected = 0, at, c.parts
    from unnest(c_tenant, c_id, c_expected, c_version, c_position, c_last, c_scope, c_key, c_fingerprint, c_parts)
             as c(tenant_id, aggregate_id, expected, version, position, last, scope, key, fingerprint, parts)
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
    return query select 0::bigint, 'appended', null::uuid, 0::bigint, base, null::boolean, null::text, null::text;
end
$$;

drop function eventstore.answer(uuid, text, text);
create function eventstore.answer(tenant uuid, key_scope text, idempotency_key text)
    returns table
            (
                fingerprint  bytea,
                aggregate_id uuid,
                version      bigint,
                "position"   bigint,
                created      boolean,
                parts        text
            )
    language plpgsql stable security definer set search_path = pg_catalog
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off rows 1 as
$$
#variable_conflict use_column
begin
    return query
        select i.fingerprint, i.aggregate_id, i.version, i.position, i.created, i.parts
        from eventstore.idempotency i
        where i.tenant_id = tenant and i.scope = key_scope and i.key = idempotency_key;
end
$$;

do
$$
declare
    f regprocedure;
begin
    for f in select p.oid::regprocedure
             from pg_proc p
             where p.pronamespace = 'eventstore'::regnamespace and p.proname in ('append', 'answer') loop
        execute format('revoke execute on function %s from public', f);
        execute format('grant execute on function %s to ubos_command, ubos_worker', f);
    end loop;
end
$$;
