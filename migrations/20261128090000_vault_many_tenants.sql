-- Keys of many tenants in one question, with plans that are kept: what a process asks after its start, when every tenant's
-- keys are new to it, was planned anew for each of them.

drop function vault.data_keys_of(uuid);
drop function vault.reserve(uuid, bigint, bigint);
drop function vault.add_data_key(uuid, integer, bytea, text);

create function vault.data_keys_of(tenants uuid[])
    returns table (tenant_id uuid, generation integer, wrapped bytea, wrapped_by text)
    language plpgsql stable security definer set search_path = pg_catalog
    set plan_cache_mode = force_generic_plan set enable_seqscan = off rows 100 as
$$
#variable_conflict use_column
begin
    return query
        select k.*
        from unnest(tenants) as a(tenant_id)
                 cross join lateral (
            select d.tenant_id, d.generation, d.wrapped, d.wrapped_by
            from vault.data_keys d
            where d.tenant_id = a.tenant_id
            -- Keeps it a subquery.
            offset 0
            ) k;
end
$$;

-- Lets a process seal `block` texts with the newest generation of each of these tenants, and answers those that got it. The
-- others have no generation that may seal so many, and a fresh one must be made.
--
-- Rows are locked in the order of `tenants`; who sorts it waits for nobody who waits for him.
create function vault.reserve(tenants uuid[], block bigint, at_most bigint) returns setof uuid
    language plpgsql security definer set search_path = pg_catalog
    set plan_cache_mode = force_generic_plan set enable_seqscan = off rows 100 as
$$
begin
    return query
        with newest as materialized (
            select k.*
            from unnest(tenants) as a(tenant_id)
                     cross join lateral (
                select d.tenant_id, d.generation
                from vault.data_keys d
                where d.tenant_id = a.tenant_id
                order by d.generation desc
                limit 1 for no key update
                ) k
        )
        update vault.data_keys d
            set seals_reserved = d.seals_reserved + block
            from newest n
            where d.tenant_id = n.tenant_id and d.generation = n.generation and d.seals_reserved + block <= at_most
            returning d.tenant_id;
end
$$;

-- The first who makes a generation has made it.
create function vault.add_data_keys(tenants uuid[], generations integer[], wrapped bytea[], wrapped_by text[])
    returns void
    language sql security definer set search_path = pg_catalog as
$$
insert into vault.data_keys (tenant_id, generation, wrapped, wrapped_by)
select * from unnest(tenants, generations, wrapped, wrapped_by)
on conflict do nothing
$$;

revoke execute on function vault.data_keys_of(uuid[]), vault.reserve(uuid[], bigint, bigint),
    vault.add_data_keys(uuid[], integer[], bytea[], text[]) from public;
grant execute on function vault.data_keys_of(uuid[]) to ubos_command, ubos_query, ubos_worker;
grant execute on function vault.reserve(uuid[], bigint, bigint), vault.add_data_keys(uuid[], integer[], bytea[], text[])
    to ubos_command, ubos_worker;
