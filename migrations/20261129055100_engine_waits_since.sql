-- What counts for a wait is where an event stands in the log, whenever the intake or a worker came to read it.

-- Events after this position meet the condition, and for a wait that ends, those that were committed by then.
alter table engine.waits
    add column after_position bigint not null,
    add column until timestamptz,
    -- The condition refers to what steps gave, so it is held against the events again when one of them has ended.
    add column of_steps boolean not null default false;
create index waits_of_steps on engine.waits (tenant_id, run_id) where of_steps and matched is null;

-- What events mean for a run, as of now: how far the intake has read, which conditions have been met, and for each that
-- has not, the last event of its kind in the log that the intake has not read yet. One statement, so one moment.
create function engine.look(l_tenant uuid, l_run uuid)
    returns table (checkpoint bigint, action_index integer, reason text, matched jsonb, unread bigint)
    language sql stable
    set search_path = pg_catalog set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as
$$
select c.position, w.action_index, w.reason, w.matched,
       case when w.matched is null then (
           select max(e.position)
           from eventstore.events e
           where e.tenant_id = w.tenant_id
             and e.event_type = w.event_type
             and e.domain <> 'workflow'
             and e.position > greatest(c.position, w.after_position)
             and (w.aggregate_id is null or e.aggregate_id = w.aggregate_id)
       ) end
from engine.checkpoint c
         left join engine.waits w on w.tenant_id = l_tenant and w.run_id = l_run
where c.name = 'intake'
order by w.action_index
$$;
revoke execute on function engine.look(uuid, uuid) from public;
grant execute on function engine.look(uuid, uuid) to ubos_worker;
