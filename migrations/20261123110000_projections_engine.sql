-- What the projection engine knows about itself, and the few pieces of DDL that it may ask for.
--
-- A group is one domain's read tables: one checkpoint, one transaction per batch, one unit of replay. Its tables live in
-- the schema of its name (slot live), are rebuilt in `<group>_next` (slot next), and the ones that were replaced stay in
-- `<group>_previous` (slot previous) for a rollback.

create schema projections;
grant usage on schema projections to ubos_query, ubos_worker;

-- The registered read tables; nothing else can be rebuilt, switched or dropped.
create table projections.tables
(
    group_name text not null,
    table_name text not null,
    primary key (group_name, table_name)
);
grant select on projections.tables to ubos_worker;

-- How far each group has read the log. `events` counts what it was given: it must equal `position`, always.
create table projections.checkpoints
(
    group_name text        not null,
    slot       text        not null check (slot in ('live', 'next', 'previous')),
    position   bigint      not null default 0,
    events     bigint      not null default 0,
    -- Version of the folds that wrote the rows; 0: rows of an older shape, replay needed.
    version    integer     not null default 1,
    updated_at timestamptz not null default now(),
    primary key (group_name, slot)
) with (fillfactor = 20);
grant select on projections.checkpoints to ubos_query, ubos_worker;
grant update on projections.checkpoints to ubos_worker;

-- Streams that a group cannot apply. The rows of such a stream stay as they were before `first_position`; later events
-- of it are only counted until it is retried.
create table projections.parked
(
    group_name     text        not null,
    slot           text        not null check (slot in ('live', 'next', 'previous')),
    tenant_id      uuid        not null,
    aggregate_id   uuid        not null,
    aggregate_type text        not null,
    -- The table and row where it went wrong; null when the event itself cannot be read.
    table_name     text,
    row_id         uuid,
    first_position bigint      not null,
    last_position  bigint      not null,
    event_count    bigint      not null,
    error          text        not null,
    attempts       integer     not null default 1,
    parked_at      timestamptz not null default now(),
    primary key (group_name, slot, tenant_id, aggregate_id)
);
select shared.secure_tenant_table('projections.parked', '{}', '{ubos_worker}');

-- Makes a table a read table: secured, readable by id in one round trip, part of its group. A group that has already
-- read events has to be replayed before the new table is complete, hence version 0.
create function projections.register(target regclass) returns void
    language plpgsql as
$$
declare
    grp  text;
    name text;
begin
    select n.nspname, c.relname into grp, name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = target;
    insert into projections.tables values (grp, name);
    insert into projections.checkpoints (group_name, slot) values (grp, 'live')
    on conflict (group_name, slot) do update set version = 0 where checkpoints.position > 0;
    execute format('grant usage on schema %I to ubos_query, ubos_worker', grp);
    perform shared.secure_tenant_table(target, '{ubos_query}', '{ubos_worker}');
    -- Sets the tenant and reads in one statement, so that nothing can run between the two and nothing outlives them.
    -- Parameters without names cannot be mistaken for a column.
    -- Volatile, so that the read takes its snapshot after it has its lock: a switch of tables is never half seen.
    execute format(
        $f$create function %1$I.%3$I(uuid, uuid) returns text language plpgsql volatile as
        $b$ begin
            perform pg_catalog.set_config('ubos.tenant_id', $1::text, true);
            return (select pg_catalog.row_to_json(r)::text from %1$I.%2$I r where r.tenant_id = $1 and r.id = $2);
        end $b$ $f$, grp, name, name || '_by_id');
    execute format('revoke execute on function %I.%I(uuid, uuid) from public', grp, name || '_by_id');
    execute format('grant execute on function %I.%I(uuid, uuid) to ubos_query', grp, name || '_by_id');
end
$$;
revoke execute on function projections.register(regclass) from public;

-- Any other read as one tenant, in one statement. Runs with the caller's rights, so row-level security decides; in the
-- query text $1 is the tenant and $2 the array of arguments.
create function projections.read_as(tenant uuid, query text, arguments text[]) returns setof text
    language plpgsql volatile as
$$
begin
    perform pg_catalog.set_config('ubos.tenant_id', tenant::text, true);
    return query execute query using tenant, arguments;
end
$$;
revoke execute on function projections.read_as(uuid, text, text[]) from public;
grant execute on function projections.read_as(uuid, text, text[]) to ubos_query;

-- The following run as the owner, because only an owner may move tables; they touch registered tables only.

-- Empty tables in `<group>_next` without indexes and row-level security (COPY FROM refuses it); no reader can reach them.
-- Whatever an earlier attempt left there is gone afterwards.
create function projections.begin_rebuild(grp text, folds integer) returns void
    language plpgsql security definer set search_path = pg_catalog as
$$
declare
    name text;
begin
    perform projections.discard(grp, 'next');
    execute format('create schema if not exists %I', grp || '_next');
    execute format('grant usage on schema %I to ubos_worker', grp || '_next');
    for name in select t.table_name from projections.tables t where t.group_name = grp loop
        execute format('create table %1$I.%3$I (like %2$I.%3$I including defaults including constraints including storage)',
                       grp || '_next', grp, name);
        execute format('grant select, insert, update, delete on %I.%I to ubos_worker', grp || '_next', name);
    end loop;
    insert into projections.checkpoints (group_name, slot, version) values (grp, 'next', folds);
end
$$;

-- The indexes and keys of the live tables, on the rebuilt ones; then the rebuilt rows count as read up to `reached`.
create function projections.finish_build(grp text, reached bigint) returns void
    language plpgsql security definer set search_path = pg_catalog as
$$
declare
    name text;
    key  record;
begin
    for name in select t.table_name from projections.tables t where t.group_name = grp loop
        for key in
            select pg_get_indexdef(i.indexrelid) as definition, c.conname, pg_get_constraintdef(c.oid) as condition
            from pg_index i
                     left join pg_constraint c on c.conindid = i.indexrelid and c.contype in ('p', 'u')
            where i.indrelid = format('%I.%I', grp, name)::regclass
        loop
            if key.conname is null then
                execute replace(key.definition, format(' ON %I.%I ', grp, name), format(' ON %I.%I ', grp || '_next', name));
            else
                execute format('alter table %I.%I add constraint %I %s', grp || '_next', name, key.conname, key.condition);
            end if;
        end loop;
        execute format('analyze %I.%I', grp || '_next', name);
    end loop;
    update projections.checkpoints set position = reached, events = reached, updated_at = now()
    where group_name = grp and slot = 'next' and position = 0;
    if not found then
        raise exception 'no rebuild of % has begun', grp;
    end if;
end
$$;

-- Puts the tables of `source` ('next' after a rebuild, 'previous' to roll back) in the place of the live ones, which
-- become 'previous'. Both must have read the same events; the caller's transaction makes it one step.
create function projections.switch(grp text, source text) returns void
    language plpgsql security definer set search_path = pg_catalog as
$$
declare
    name text;
    live bigint;
    side bigint;
begin
    perform 1 from projections.checkpoints where group_name = grp order by slot for update;
    select position into live from projections.checkpoints where group_name = grp and slot = 'live';
    select position into side from projections.checkpoints where group_name = grp and slot = source;
    if source not in ('next', 'previous') or side is null or live is null then
        raise exception 'nothing to switch % to in %', grp, source using errcode = 'object_not_in_prerequisite_state';
    elsif side <> live then
        raise exception 'the % tables of % are at %, the live ones at %', source, grp, side, live
            using errcode = 'object_not_in_prerequisite_state';
    end if;
    perform projections.discard(grp, case source when 'next' then 'previous' else 'next' end);
    execute format('create schema if not exists %I', grp || '_previous');
    execute format('create schema if not exists %I', grp || '_next');
    execute format('grant usage on schema %I to ubos_worker', grp || '_previous');
    -- One table after the other; readers of any of them wait for the commit and then see the new one.
    for name in select t.table_name from projections.tables t where t.group_name = grp loop
        if source = 'next' then
            perform shared.secure_tenant_table(format('%I.%I', grp || '_next', name)::regclass, '{ubos_query}', '{ubos_worker}');
            execute format('alter table %I.%I set schema %I', grp, name, grp || '_previous');
            execute format('alter table %I.%I set schema %I', grp || '_next', name, grp);
        else
            execute format('alter table %I.%I set schema %I', grp, name, grp || '_next');
            execute format('alter table %I.%I set schema %I', grp || '_previous', name, grp);
            execute format('alter table %I.%I set schema %I', grp || '_next', name, grp || '_previous');
        end if;
    end loop;
    -- The live checkpoint stays the same row, so that whoever waits for its lock finds it again.
    if source = 'next' then
        insert into projections.checkpoints (group_name, slot, position, events, version)
        select group_name, 'previous', position, events, version
        from projections.checkpoints where group_name = grp and slot = 'live';
        update projections.parked set slot = 'previous' where group_name = grp and slot = 'live';
        update projections.parked set slot = 'live' where group_name = grp and slot = 'next';
        update projections.checkpoints l set events = n.events, version = n.version, updated_at = now()
        from projections.checkpoints n
        where l.group_name = grp and l.slot = 'live' and n.group_name = grp and n.slot = 'next';
        delete from projections.checkpoints where group_name = grp and slot = 'next';
    else
        update projections.checkpoints c set events = o.events, version = o.version, updated_at = now()
        from projections.checkpoints o
        where c.group_name = grp and o.group_name = grp
          and (c.slot, o.slot) in (('live', 'previous'), ('previous', 'live'));
        update projections.parked set slot = 'next' where group_name = grp and slot = 'live';
        update projections.parked set slot = 'live' where group_name = grp and slot = 'previous';
        update projections.parked set slot = 'previous' where group_name = grp and slot = 'next';
    end if;
end
$$;

-- Drops the tables of a slot that nobody reads.
create function projections.discard(grp text, unused text) returns void
    language plpgsql security definer set search_path = pg_catalog as
$$
declare
    name text;
begin
    if unused is null or unused not in ('next', 'previous') then
        raise exception 'slot % cannot be dropped', unused using errcode = 'insufficient_privilege';
    elsif not exists (select from projections.tables where group_name = grp) then
        raise exception 'there is no group %', grp using errcode = 'undefined_object';
    end if;
    for name in select t.table_name from projections.tables t where t.group_name = grp loop
        execute format('drop table if exists %I.%I', grp || '_' || unused, name);
    end loop;
    delete from projections.checkpoints where group_name = grp and slot = unused;
    delete from projections.parked where group_name = grp and slot = unused;
end
$$;

do
$$
declare
    f regprocedure;
begin
    for f in
        select p.oid::regprocedure from pg_proc p
        where p.pronamespace = 'projections'::regnamespace
          and p.proname in ('begin_rebuild', 'finish_build', 'switch', 'discard')
    loop
        execute format('revoke execute on function %s from public', f);
        execute format('grant execute on function %s to ubos_worker', f);
    end loop;
end
$$;
