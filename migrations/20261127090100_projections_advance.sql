-- A batch of a projection begins with one statement instead of three, and its plans are kept.

-- Begins a batch: locks the group's checkpoint, and moves it from `after` to `upto` if that is where it is. Answers where it
-- was, which transaction had written it, which has now (null if it was elsewhere), and the group's parked streams as they
-- are under the lock.
create function projections.advance(
    grp text, of_slot text, after bigint, upto bigint,
    out at bigint, out written_by text, out moved_by text, out parked_tenants uuid[], out parked_aggregates uuid[]
)
    language plpgsql volatile as
$$
begin
    -- The commit need not wait for the disk: rows and checkpoint go together, and what a crash takes is read again.
    perform pg_catalog.set_config('synchronous_commit', 'off', true);
    -- What follows takes arrays, and planning it each time costs more than running it. Without scans, because a plan that was
    -- made while a table was small must do when it has grown.
    perform pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true);
    perform pg_catalog.set_config('enable_seqscan', 'off', true);
    select c.position, c.xmin::text into at, written_by
    from projections.checkpoints c where c.group_name = grp and c.slot = of_slot for no key update;
    if at is distinct from after then
        return;
    end if;
    update projections.checkpoints c
    set position = upto, events = c.events + upto - after, updated_at = now()
    where c.group_name = grp and c.slot = of_slot
    returning c.xmin::text into moved_by;
    select array_agg(p.tenant_id), array_agg(p.aggregate_id) into parked_tenants, parked_aggregates
    from projections.parked p where p.group_name = grp and p.slot = of_slot;
end
$$;
revoke execute on function projections.advance(text, text, bigint, bigint) from public;
grant execute on function projections.advance(text, text, bigint, bigint) to ubos_worker;

-- Lists and single events are read by statements of query-api's own, whose plans PostgreSQL keeps; EXECUTE planned each anew.
drop function projections.read_as(uuid, text, text[]);
