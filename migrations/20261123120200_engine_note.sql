-- What a batch of events means for the queue of runs, in one statement: one round trip and one commit for hundreds of
-- triggers. One row of null if the checkpoint does not stand at `from_position`; else the runs that were noted and were not yet, and
-- of those, the ones that the log does not know either.
--
-- A run that the caller will work on at once is noted with its lease, so that nobody else takes it; `start` is how
-- whoever comes after a caller that died begins it. Runs that have ended wait for nothing any more.
--
-- Rows are looked up one by one through their keys: a plan that was made while a table was small would read all of it
-- later, and this runs for every batch.
--
-- Neither this nor letting go waits for the disk. Commits reach it in order, so whatever a crash takes of these, it also
-- takes every later append: what is left is an earlier state of the queue and of the log together, and the intake reads
-- on from there.
create function engine.note(
    from_position bigint, to_position bigint, worker uuid, lease_for interval,
    s_tenant uuid[], s_run uuid[], s_held boolean[], s_start text[],
    e_tenant uuid[], e_run uuid[]
) returns table (run_id uuid, is_new boolean)
    language plpgsql
    set search_path = pg_catalog set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as
$$
#variable_conflict use_column
begin
    perform set_config('synchronous_commit', 'off', true);
    update engine.checkpoint c set position = to_position where c.name = 'intake' and c.position = from_position;
    if not found then
        return query select null::uuid, false;
        return;
    end if;
    if cardinality(s_run) > 0 then
        return query with inserted as (
            insert into engine.tasks as t (tenant_id, run_id, due_at, lease, start)
                select s.tenant_id, s.run_id,
                       clock_timestamp() + case when s.held then lease_for else interval '0' end,
                       case when s.held then worker end, s.start::jsonb
                from unnest(s_tenant, s_run, s_held, s_start) as s(tenant_id, run_id, held, start)
                on conflict do nothing
                returning t.tenant_id, t.run_id
        )
        select i.run_id, not exists (
            select from eventstore.streams s
            where s.tenant_id = i.tenant_id and s.aggregate_id = i.run_id and s.aggregate_type = 'workflow.run'
        )
        from inserted i;
    end if;
    if cardinality(e_run) > 0 then
        delete from engine.waits w
            using unnest(e_tenant, e_run) as e(tenant_id, run_id)
            where w.tenant_id = e.tenant_id and w.run_id = e.run_id;
    end if;
end
$$;
revoke execute on function engine.note(bigint, bigint, uuid, interval, uuid[], uuid[], boolean[], text[], uuid[], uuid[]) from public;
grant execute on function engine.note(bigint, bigint, uuid, interval, uuid[], uuid[], boolean[], text[], uuid[], uuid[]) to ubos_worker;

-- Lets go of runs that have ended. One that was woken meanwhile is due again and is among the answers.
create function engine.close(worker uuid, c_tenant uuid[], c_run uuid[], c_wakes bigint[]) returns bigint
    language plpgsql
    set search_path = pg_catalog set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as
$$
declare
    woken bigint;
begin
    perform set_config('synchronous_commit', 'off', true);
    delete from engine.tasks t
        using unnest(c_tenant, c_run, c_wakes) as c(tenant_id, run_id, wakes)
        where t.tenant_id = c.tenant_id and t.run_id = c.run_id and t.lease = worker and t.wakes = c.wakes;
    get diagnostics woken = row_count;
    if woken = cardinality(c_run) then
        return 0;
    end if;
    update engine.tasks t
    set lease = null, state = 'due', start = null, due_at = clock_timestamp()
    from unnest(c_tenant, c_run) as c(tenant_id, run_id)
    where t.tenant_id = c.tenant_id and t.run_id = c.run_id and t.lease = worker;
    get diagnostics woken = row_count;
    return woken;
end
$$;
revoke execute on function engine.close(uuid, uuid[], uuid[], bigint[]) from public;
grant execute on function engine.close(uuid, uuid[], uuid[], bigint[]) to ubos_worker;

-- Taking runs looks them up in the same way, however many wait.
alter function engine.take(uuid, interval, integer) set enable_seqscan = off;
alter function engine.take(uuid, interval, integer) set enable_hashjoin = off;
alter function engine.take(uuid, interval, integer) set enable_mergejoin = off;
