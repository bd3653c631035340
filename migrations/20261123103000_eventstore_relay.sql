-- How far the log is published to NATS JetStream, by whom, and what NATS refused; and the outbox as a view over it.
-- The log itself is the outbox: appending writes no second row, publishing updates none (docs/adr/0010).

-- One row. Whoever holds the advisory lock raises the epoch; every write names its epoch, so that a deposed leader
-- cannot move the cursor.
create table eventstore.relay
(
    shard           smallint    primary key default 0 check (shard = 0),
    -- Which log the stream's messages come from; a stream of another one is never taken for ours.
    log_id          uuid,
    epoch           bigint      not null default 0,
    holder          text        not null default '',
    -- Everything up to here is in the stream, from `stream_from` on.
    position        bigint      not null default 0,
    stream_sequence bigint      not null default 0,
    stream_name     text        not null default '',
    -- Nanoseconds since 1970: a stream that was deleted and made again has another one.
    stream_created  bigint,
    stream_epoch    bigint      not null default 0,
    stream_from     bigint      not null default 1,
    -- An operator asks the leader to rebuild the stream from this position.
    reseed_from     bigint check (reseed_from > 0),
    updated_at      timestamptz not null default now()
) with (fillfactor = 10);
insert into eventstore.relay default values;
grant select on eventstore.relay to ubos_command, ubos_query;
grant select, update on eventstore.relay to ubos_worker;

-- When which positions were published. Together the rows cover 1 to the cursor without a gap; the leader merges rows
-- older than a day to one an hour.
create table eventstore.relay_marks
(
    up_to_position bigint      primary key,
    after_position bigint      not null check (after_position < up_to_position),
    published_at   timestamptz not null
);
grant select on eventstore.relay_marks to ubos_command, ubos_query;
grant select, insert, update, delete on eventstore.relay_marks to ubos_worker;

-- Events that NATS refuses whatever is tried. A claim-check took their place in the stream, so nothing waits for them.
create table eventstore.dead_letters
(
    position  bigint      primary key,
    event_id  uuid        not null,
    tenant_id uuid        not null,
    reason    text        not null,
    attempts  integer     not null default 1,
    first_at  timestamptz not null default now(),
    last_at   timestamptz not null default now()
);
select shared.secure_tenant_table('eventstore.dead_letters', '{ubos_command,ubos_query}', '{ubos_worker}');

-- Moves the cursor forward and marks what was published. Answers what an operator asks for; no row when the caller is
-- no longer the leader.
create function eventstore.relay_advance(by_epoch bigint, to_position bigint, to_sequence bigint)
    returns table (reseed_from bigint)
    language sql set search_path = pg_catalog as
$$
with old as (select r.position from eventstore.relay r where r.epoch = by_epoch for update),
     moved as (
         update eventstore.relay r
             set position        = greatest(old.position, to_position),
                 stream_sequence = case when to_position < old.position then r.stream_sequence else to_sequence end,
                 updated_at      = clock_timestamp()
             from old
             where r.epoch = by_epoch
             returning old.position as after_position, r.reseed_from
     ),
     marked as (
         insert into eventstore.relay_marks (up_to_position, after_position, published_at)
             select to_position, moved.after_position, clock_timestamp()
             from moved
             where moved.after_position < to_position
     )
select moved.reseed_from from moved
$$;

-- Sets the cursor to what is really in the stream, which may be less than it was; what lies beyond is unpublished again.
create function eventstore.relay_rewind(
    by_epoch bigint, to_position bigint, to_sequence bigint, name text, created bigint, from_position bigint, lost boolean
) returns boolean
    language plpgsql set search_path = pg_catalog as
$$
begin
    update eventstore.relay r
    set position        = to_position,
        stream_sequence = to_sequence,
        stream_name     = name,
        stream_created  = created,
        stream_from     = from_position,
        stream_epoch    = r.stream_epoch + lost::integer,
        reseed_from     = null,
        updated_at      = clock_timestamp()
    where r.epoch = by_epoch;
    if not found then
        return false;
    end if;
    delete from eventstore.relay_marks m where m.after_position >= to_position;
    update eventstore.relay_marks m set up_to_position = to_position where m.up_to_position > to_position;
    -- Skipped on purpose: older than the stream keeps.
    insert into eventstore.relay_marks (up_to_position, after_position, published_at)
    select to_position, covered.up_to, clock_timestamp()
    from (select coalesce(max(m.up_to_position), 0) as up_to from eventstore.relay_marks m) covered
    where covered.up_to < to_position;
    return true;
end
$$;

-- Merges marks older than a day, hour by hour.
create function eventstore.relay_merge_marks() returns bigint
    language sql set search_path = pg_catalog as
$$
with hours as materialized (
    select date_trunc('hour', m.published_at) as hour, max(m.up_to_position) as last, min(m.after_position) as first
    from eventstore.relay_marks m
    where m.published_at < date_trunc('hour', now() - interval '1 day')
    group by 1
    having count(*) > 1
),
     widened as (
         update eventstore.relay_marks m set after_position = hours.first from hours where m.up_to_position = hours.last
     ),
     gone as (
         delete from eventstore.relay_marks m
             using hours
             where m.up_to_position > hours.first and m.up_to_position < hours.last
             returning 1
     )
select count(*) from gone
$$;

do
$$
declare
    f regprocedure;
begin
    for f in select p.oid::regprocedure from pg_proc p
             where p.pronamespace = 'eventstore'::regnamespace and p.proname like 'relay\_%' loop
        execute format('revoke execute on function %s from public', f);
        execute format('grant execute on function %s to ubos_worker', f);
    end loop;
end
$$;

-- The founding document's outbox. Two branches, so that "what is unpublished?" reads only what is unpublished.
-- The reader's own row-level security applies.
create view shared.outbox with (security_invoker = true) as
select e.event_id as id, e.tenant_id, e.event_type, e.event_version as version, e.payload, e.metadata,
       e.recorded_at as created_at, null::timestamptz as processed_at,
       coalesce(d.attempts, 0) as retry_count, d.reason as last_error
from eventstore.events e
         left join eventstore.dead_letters d on d.position = e.position
where e.position > (select r.position from eventstore.relay r where r.shard = 0)
union all
select e.event_id, e.tenant_id, e.event_type, e.event_version, e.payload, e.metadata,
       e.recorded_at, m.published_at,
       coalesce(d.attempts, 0), d.reason
from eventstore.relay_marks m
         join eventstore.events e on e.position > m.after_position and e.position <= m.up_to_position
         left join eventstore.dead_letters d on d.position = e.position;
grant select on shared.outbox to ubos_command, ubos_query, ubos_worker;
comment on view shared.outbox is
    'Every event with when it was published; rows with processed_at null wait for the relay. A view over the log.';
