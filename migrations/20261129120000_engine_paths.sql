-- Steps are named by their path, because a run is no list any more: several steps may wait at once, inside of branches and loops.

-- What was waited for is found again in the log: the waits of a run that goes on are told by its events.
delete from engine.waits;
alter table engine.waits drop constraint waits_pkey;
alter table engine.waits drop column action_index;
alter table engine.waits
    -- The step that waits; empty: a condition under which the run is cancelled.
    add column step text not null,
    -- Which of the things that it waits for.
    add column name text not null;
alter table engine.waits add primary key (tenant_id, run_id, step, name);

drop function engine.look(uuid, uuid);
create function engine.look(l_tenant uuid, l_run uuid)
    returns table (checkpoint bigint, step text, name text, reason text, matched jsonb, unread bigint)
    language sql stable
    set search_path = pg_catalog set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as
$$
select c.position, w.step, w.name, w.reason, w.matched,
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
order by w.step, w.name
$$;
revoke execute on function engine.look(uuid, uuid) from public;
grant execute on function engine.look(uuid, uuid) to ubos_worker;

-- An event that cancels what a run did, also when the run has ended before: where it stands in the log.
alter table engine.tasks add column cancel_position bigint;
-- Runs that may not start before those that came for the same thing before them have ended.
create index tasks_correlation on engine.tasks (tenant_id, (start -> 'correlation' ->> 'key'))
    where start -> 'correlation' is not null;

drop function engine.take(uuid, interval, integer);
create function engine.take(worker uuid, lease_for interval, at_most integer)
    returns table (tenant_id uuid, run_id uuid, due_at timestamptz, wakes bigint, start jsonb, cancel_position bigint)
    language sql
    set search_path = pg_catalog set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as
$$
with recursive tenants as (
    (select t.tenant_id from engine.tasks t order by t.tenant_id limit 1)
    union all
    select (select t.tenant_id from engine.tasks t where t.tenant_id > tenants.tenant_id order by t.tenant_id limit 1)
    from tenants
    where tenants.tenant_id is not null
),
     due as materialized (
         select d.*
         from tenants
                  cross join lateral (
             select t.tenant_id, t.run_id, t.due_at
             from engine.tasks t
             where t.tenant_id = tenants.tenant_id
               and t.due_at <= clock_timestamp()
             order by t.due_at
             limit at_most for update skip locked
             ) d
     ),
     picked as materialized (
         select due.*, row_number() over (partition by due.tenant_id order by due.due_at) as turn
         from due
         -- Among equals by lot: whoever takes one run at a time would otherwise always take the one that waits longest,
         -- and that is the busy tenant's.
         order by turn, random()
         limit at_most
     )
update engine.tasks t
set due_at = clock_timestamp() + lease_for, lease = worker
from picked
where t.tenant_id = picked.tenant_id
  and t.run_id = picked.run_id
returning t.tenant_id, t.run_id, picked.due_at, t.wakes, t.start, t.cancel_position
$$;
revoke execute on function engine.take(uuid, interval, integer) from public;
grant execute on function engine.take(uuid, interval, integer) to ubos_worker;

-- When definitions with a schedule are due next. Whoever starts the run moves it on, in one transaction.
create table engine.schedules
(
    tenant_id     uuid        not null,
    definition_id uuid        not null,
    due_at        timestamptz not null,
    primary key (tenant_id, definition_id)
);
create index schedules_due on engine.schedules (due_at);
select shared.secure_tenant_table('engine.schedules', '{}', '{ubos_worker}');
