-- How many runs have followed from runs: from one request with everything that it led to, and within an hour of one firm.

create table engine.followed
(
    tenant_id uuid        not null,
    -- The request that all of it began with; nil counts all of the firm's.
    chain     uuid        not null,
    since     timestamptz not null,
    runs      bigint      not null,
    primary key (tenant_id, chain)
) with (fillfactor = 50);
select shared.secure_tenant_table('engine.followed', '{}', '{ubos_worker}');

-- Counts one run more. What is beyond `chain_max` does not count for the firm, which has to go on. A run whose worker died before it
-- began is counted again. Rows are always taken in the same order, so nobody waits for another in a circle.
create function engine.follow(f_tenant uuid, f_chain uuid, chain_max bigint, out of_chain bigint, out of_firm bigint)
    language plpgsql
    set search_path = pg_catalog as
$$
begin
    perform set_config('synchronous_commit', 'off', true);
    insert into engine.followed as f (tenant_id, chain, since, runs) values (f_tenant, f_chain, now(), 1)
    on conflict (tenant_id, chain) do update set runs = f.runs + 1
    returning f.runs into of_chain;
    of_firm := 0;
    if of_chain > chain_max then
        return;
    end if;
    insert into engine.followed as f (tenant_id, chain, since, runs)
    values (f_tenant, '00000000-0000-0000-0000-000000000000', now(), 1)
    on conflict (tenant_id, chain) do update
        set runs  = case when f.since < now() - interval '1 hour' then 1 else f.runs + 1 end,
            since = case when f.since < now() - interval '1 hour' then now() else f.since end
    returning f.runs into of_firm;
    if of_firm = 1 then
        -- What goes on after a week is no flood.
        delete from engine.followed f where f.tenant_id = f_tenant and f.since < now() - interval '7 days';
    end if;
end
$$;
revoke execute on function engine.follow(uuid, uuid, bigint) from public;
grant execute on function engine.follow(uuid, uuid, bigint) to ubos_worker;

-- A step that its definition does not allow is a refusal like another, and stands on the same trail.
grant usage on schema audit to ubos_worker;
grant execute on function audit.note_refusals(jsonb) to ubos_worker;
