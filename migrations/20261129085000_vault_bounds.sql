-- What may be reserved and made is bounded here too: whoever has a service's connection could take back what was reserved with
-- a negative block, allow itself more with a limit of its own, or skip generations until there is none left.

-- A thousandth of what NIST SP 800-38D §8.3 allows one key of AES-GCM with random nonces.
alter table vault.data_keys
    add constraint data_keys_seals_reserved_check check (seals_reserved between 0 and 4294967);

-- Whoever wraps keys anew changes how they are wrapped and nothing else.
revoke update on vault.data_keys from ubos_worker;
grant update (wrapped, wrapped_by) on vault.data_keys to ubos_worker;

create or replace function vault.reserve(tenants uuid[], block bigint, at_most bigint) returns setof uuid
    language plpgsql security definer set search_path = pg_catalog
    set plan_cache_mode = force_generic_plan set enable_seqscan = off rows 100 as
$$
begin
    if block is null or block not between 1 and 65536 then
        raise exception 'expected a block of 1 to 65536 seals, got %', block using errcode = 'invalid_parameter_value';
    end if;
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
            where d.tenant_id = n.tenant_id and d.generation = n.generation
              and d.seals_reserved + block <= least(at_most, 4294967)
            returning d.tenant_id;
end
$$;

-- The first who makes a generation has made it, and only the next one can be made.
create or replace function vault.add_data_keys(tenants uuid[], generations integer[], wrapped bytea[], wrapped_by text[])
    returns void
    language sql security definer set search_path = pg_catalog as
$$
insert into vault.data_keys (tenant_id, generation, wrapped, wrapped_by)
select a.*
from unnest(tenants, generations, wrapped, wrapped_by) as a(tenant_id, generation, wrapped, wrapped_by)
where a.generation = 1 + coalesce((select max(k.generation) from vault.data_keys k where k.tenant_id = a.tenant_id), 0)
on conflict do nothing
$$;
