-- What the workflow engine remembers besides the log: how far it has read, the definitions it starts runs from, the runs
-- that want attention, and the events that runs wait for. All of it follows from the log; only workers may touch it.

create schema engine;
grant usage on schema engine to ubos_worker;

-- One row, moved by compare-and-set in the transaction that stores what the events led to, so that an event that is
-- delivered twice has its effect once.
create table engine.checkpoint
(
    name     text primary key,
    position bigint not null
) with (fillfactor = 10);
insert into engine.checkpoint (name, position) values ('intake', 0);
grant select, update on engine.checkpoint to ubos_worker;

-- The latest version of every definition.
create table engine.definitions
(
    tenant_id          uuid    not null,
    definition_id      uuid    not null,
    name               text    not null,
    version            integer not null,
    hash               text    not null,
    trigger_event_type text    not null,
    document           jsonb   not null,
    paused             boolean not null default false,
    retired            boolean not null default false,
    primary key (tenant_id, definition_id)
);
select shared.secure_tenant_table('engine.definitions', '{}', '{ubos_worker}');

-- One row per run that has not ended. It is also the timer: whoever takes it moves `due_at` to the end of the lease, so
-- that the run of a killed worker is due again by itself. No `due_at`: only an operator or an event wakes the run.
create table engine.tasks
(
    tenant_id  uuid        not null,
    run_id     uuid        not null,
    due_at     timestamptz,
    state      text        not null default 'due' check (state in ('due', 'waiting', 'parked')),
    lease      uuid,
    -- Raised by every wake-up, so that a worker that finishes meanwhile does not put the run back to sleep.
    wakes      bigint      not null default 0,
    -- How to start the run; none when it has started.
    start      jsonb,
    created_at timestamptz not null default now(),
    primary key (tenant_id, run_id)
) with (fillfactor = 70);
create index tasks_due on engine.tasks (tenant_id, due_at);
create index tasks_next on engine.tasks (due_at);
select shared.secure_tenant_table('engine.tasks', '{}', '{ubos_worker}');

-- The events that runs wait for: to go on with a step, or to be cancelled.
create table engine.waits
(
    tenant_id    uuid    not null,
    run_id       uuid    not null,
    -- The step that waits; -1 and below: a condition under which the run is cancelled.
    action_index integer not null,
    event_type   text    not null,
    matching     text,
    reason       text,
    -- The event that met the condition, once one has.
    matched      jsonb,
    primary key (tenant_id, run_id, action_index)
);
create index waits_event on engine.waits (tenant_id, event_type) where matched is null;
select shared.secure_tenant_table('engine.waits', '{}', '{ubos_worker}');

-- Takes due runs, tenant by tenant in turn, so that one tenant's thousand runs do not stand before another's first.
create function engine.take(worker uuid, lease_for interval, at_most integer)
    returns table (tenant_id uuid, run_id uuid, due_at timestamptz, wakes bigint, start jsonb)
    language sql set search_path = pg_catalog as
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
returning t.tenant_id, t.run_id, picked.due_at, t.wakes, t.start
$$;
revoke execute on function engine.take(uuid, interval, integer) from public;
grant execute on function engine.take(uuid, interval, integer) to ubos_worker;
