-- Commands on several streams that enter the log together (docs/adr/0033). The function is as it was (20261129092000), but for
-- claims: within a unit, what one stream gives up another takes. No two commands of a batch that do not belong together are
-- about one claim, so whoever gave up a claim before in this batch is not in the way any more. A claim that is taken is told by
-- its place in the arrays (in `version`), so that a unit knows whose wish it was.
-- The stored answer of a unit (`parts`, a JSON array) tells of each of its commands.
create or replace function eventstore.append(
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
            select k.cmd::bigint, 'claimed', held.aggregate_id, k.ord, 0::bigint, null::boolean, held.scope, null::text
            from unnest(k_cmd, k_take, k_scope, k_value) with ordinality as k(cmd, take, scope, value, ord)
                     cross join lateral (
                select h.*
                from eventstore.claims h
                where h.tenant_id = c_tenant[k.cmd] and h.scope = k.scope and h.value = k.value
                limit 1
                ) held
            where k.take is distinct from false
              and (held.aggregate_type, held.aggregate_id) <> (c_type[k.cmd], c_id[k.cmd])
              and not exists (
                select
                from unnest(k_cmd, k_take, k_scope, k_value) with ordinality as r(cmd, take, scope, value, ord)
                where not r.take and r.ord < k.ord and r.scope = k.scope and r.value = k.value
                  and (c_tenant[r.cmd], c_type[r.cmd], c_id[r.cmd]) = (held.tenant_id, held.aggregate_type, held.aggregate_id));
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

-- A stored answer of several commands tells what the bodies of all of them hash to.
create or replace function eventstore.forget(tenant uuid, streams uuid[]) returns bigint
    language sql security definer set search_path = pg_catalog as
$$
with snapshots as (
    delete from eventstore.snapshots s where s.tenant_id = tenant and s.aggregate_id = any (streams) returning 1
),
     claims as (
         delete from eventstore.claims c
             where c.tenant_id = tenant and c.aggregate_id = any (streams) and c.value like 'hmac1.%'
             returning 1
     ),
     answers as (
         delete from eventstore.idempotency i
             where i.tenant_id = tenant
               and (i.aggregate_id = any (streams)
                 or case when i.parts like '[%' then exists (
                     select from jsonb_array_elements(i.parts::jsonb) answer where (answer ->> 'id')::uuid = any (streams))
                    end)
             returning 1
     )
select (select count(*) from snapshots) + (select count(*) from claims) + (select count(*) from answers)
$$;
