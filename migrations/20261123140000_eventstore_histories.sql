-- Which histories the log has had. A log that is restored to an earlier moment goes on from there with other events at
-- positions that others may know already; so it goes on under another name, and (log, position) stays unique for ever.

create table eventstore.histories
(
    number         integer     primary key check (number > 0),
    -- What the events of this history are published under.
    log_id         uuid        not null unique,
    -- The last position that it shares with the history before; what that one had beyond is taken back.
    after_position bigint      not null,
    reason         text        not null,
    began_at       timestamptz not null default clock_timestamp()
);
grant select on eventstore.histories to ubos_command, ubos_query, ubos_worker;

-- Others' durable consumers while the stream is rebuilt: deleting a stream deletes them. How far each had read is kept as
-- a position, because sequences of the rebuilt stream are other ones.
create table eventstore.relay_consumers
(
    name           text   primary key,
    config         jsonb  not null,
    after_position bigint not null
);
grant select, insert, update, delete on eventstore.relay_consumers to ubos_worker;

-- The first history, once. `eventstore.relay.log_id` is the present history's.
create function eventstore.ensure_history() returns uuid
    language sql security definer set search_path = pg_catalog as
$$
update eventstore.relay r set log_id = gen_random_uuid() where r.log_id is null;
insert into eventstore.histories (number, log_id, after_position, reason)
select 1, r.log_id, 0, 'first' from eventstore.relay r
on conflict do nothing;
select r.log_id from eventstore.relay r
$$;
revoke execute on function eventstore.ensure_history() from public;
grant execute on function eventstore.ensure_history() to ubos_worker;

-- Begins another history after a position, which is the log's end right after a restore. For the owner alone: only
-- whoever has restored the database knows that it went back.
create function eventstore.begin_history(because text, after bigint)
    returns table (number integer, log_id uuid, after_position bigint)
    language plpgsql set search_path = pg_catalog as
$$
#variable_conflict use_column
declare
    ends_at bigint;
    fresh   constant uuid := gen_random_uuid();
begin
    -- Nobody appends meanwhile.
    select h.position into ends_at from eventstore.head h where h.shard = 0 for update;
    if after is null or after < 0 or after > ends_at then
        raise exception 'a history begins after a position from 0 to %, not after %', ends_at, after
            using errcode = 'invalid_parameter_value';
    end if;
    perform eventstore.ensure_history();
    update eventstore.relay set log_id = fresh, reseed_from = null;
    return query
        insert into eventstore.histories (number, log_id, after_position, reason)
            select max(h.number) + 1, fresh, after, because from eventstore.histories h
            returning histories.number, histories.log_id, histories.after_position;
end
$$;
revoke execute on function eventstore.begin_history(text, bigint) from public;
