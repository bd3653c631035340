-- The write path in one statement, and its two reads. All three work for many tenants at once, because commands of
-- many tenants share one commit; they run as their owner and touch exactly the (tenant, stream) pairs they are given.

-- Appends a batch of commands: c_* has one element per command, e_* one per event, k_* one per claim change, s_* one per
-- snapshot; *_cmd is the command's place in c_*, from 1. The caller puts no stream, key or claimed value into one batch
-- twice, so commands of a batch never depend on each other.
--
-- Outcomes: appended, replayed (stored answer of the same key), key_reused, conflict (actual version), claimed
-- (scope and holder). A refused command leaves nothing behind; the others of its batch are not affected.
create function eventstore.append(
    c_tenant uuid[], c_type text[], c_id uuid[], c_expected bigint[], c_metadata text[],
    c_scope text[], c_key text[], c_fingerprint bytea[],
    e_cmd integer[], e_id uuid[], e_type text[], e_version integer[], e_payload text[],
    k_cmd integer[], k_take boolean[], k_scope text[], k_value text[],
    s_cmd integer[], s_version bigint[], s_state_version integer[], s_state text[]
)
    returns table
            (
                cmd          bigint,
                outcome      text,
                aggregate_id uuid,
                version      bigint,
                "position"   bigint,
                created      boolean,
                detail       text
            )
    language plpgsql security definer set search_path = pg_catalog as
$$
#variable_conflict use_column
declare
    base bigint;
    at   timestamptz;
begin
    select h.position into base from eventstore.head h where h.shard = 0 for update;
    -- Read after the lock, so that times never run against positions.
    at := clock_timestamp();
    return query
        with c as materialized (
            select *
            from unnest(c_tenant, c_type, c_id, c_expected, c_metadata, c_scope, c_key, c_fingerprint)
                with ordinality as c(tenant_id, aggregate_type, aggregate_id, expected, metadata, scope, key, fingerprint, cmd)
        ),
        k as materialized (
            select k.*, c.tenant_id, c.aggregate_type, c.aggregate_id
            from unnest(k_cmd, k_take, k_scope, k_value) as k(cmd, take, scope, value)
                     join c on c.cmd = k.cmd
        ),
        taken as (
            select distinct on (k.cmd) k.cmd, k.scope, held.aggregate_id
            from k
                     join eventstore.claims held
                          on held.tenant_id = k.tenant_id and held.scope = k.scope and held.value = k.value
            where k.take
              and (held.aggregate_type, held.aggregate_id) <> (k.aggregate_type, k.aggregate_id)
        ),
        checked as materialized (
            select c.*,
                   case
                       when i.fingerprint = c.fingerprint then 'replayed'
                       when i.fingerprint is not null then 'key_reused'
                       when coalesce(s.version, 0) <> c.expected then 'conflict'
                       when taken.cmd is not null then 'claimed'
                       else 'appended' end as outcome,
                   s.version               as actual,
                   s.position              as last_position,
                   i.aggregate_id          as answer_id,
                   i.version               as answer_version,
                   i.position              as answer_position,
                   i.created               as answer_created,
                   taken.scope             as taken_scope,
                   taken.aggregate_id      as taken_by
            from c
                     left join eventstore.idempotency i
                               on i.tenant_id = c.tenant_id and i.scope = c.scope and i.key = c.key
                     left join eventstore.streams s
                               on s.tenant_id = c.tenant_id and s.aggregate_id = c.aggregate_id
                                   and s.aggregate_type = c.aggregate_type
                     left join taken on taken.cmd = c.cmd
        ),
        e as materialized (
            select checked.cmd, checked.tenant_id, checked.aggregate_type, checked.aggregate_id, checked.metadata,
                   e.id, e.type, e.version, e.payload,
                   base + row_number() over (order by e.ord)                              as position,
                   checked.expected + row_number() over (partition by e.cmd order by e.ord) as sequence
            from unnest(e_cmd, e_id, e_type, e_version, e_payload)
                     with ordinality as e(cmd, id, type, version, payload, ord)
                     join checked on checked.cmd = e.cmd and checked.outcome = 'appended'
        ),
        ends as materialized (
            select e.cmd, e.tenant_id, e.aggregate_type, e.aggregate_id,
                   min(e.position) as first_position, max(e.position) as position, max(e.sequence) as version
            from e
            group by e.cmd, e.tenant_id, e.aggregate_type, e.aggregate_id
        ),
        answers as materialized (
            select checked.cmd,
                   checked.outcome,
                   case checked.outcome
                       when 'replayed' then checked.answer_id
                       when 'claimed' then checked.taken_by
                       else checked.aggregate_id end                              as aggregate_id,
                   case checked.outcome
                       when 'replayed' then checked.answer_version
                       else coalesce(ends.version, checked.actual, 0) end         as version,
                   case checked.outcome
                       when 'replayed' then checked.answer_position
                       else coalesce(ends.position, checked.last_position, 0) end as position,
                   case checked.outcome
                       when 'replayed' then checked.answer_created
                       else checked.expected = 0 end                              as created,
                   checked.taken_scope                                            as detail,
                   checked.tenant_id, checked.scope, checked.key, checked.fingerprint
            from checked
                     left join ends on ends.cmd = checked.cmd
        ),
        write_events as (
            insert into eventstore.events
                select e.position, e.id, e.tenant_id, split_part(e.aggregate_type, '.', 1), e.aggregate_type,
                       e.aggregate_id, e.sequence, e.type, e.version, e.payload::jsonb, e.metadata::jsonb, at
                from e
                order by e.position
        ),
        write_streams as (
            insert into eventstore.streams as s
                select ends.tenant_id, ends.aggregate_type, ends.aggregate_id, ends.version, ends.first_position,
                       ends.position
                from ends
                on conflict (tenant_id, aggregate_id, aggregate_type)
                    do update set version = excluded.version, position = excluded.position
        ),
        drop_claims as (
            delete from eventstore.claims held
                using k join checked on checked.cmd = k.cmd and checked.outcome = 'appended'
                where not k.take
                    and held.tenant_id = k.tenant_id and held.scope = k.scope and held.value = k.value
                    and held.aggregate_type = k.aggregate_type and held.aggregate_id = k.aggregate_id
        ),
        write_claims as (
            insert into eventstore.claims
                select k.tenant_id, k.scope, k.value, k.aggregate_type, k.aggregate_id
                from k
                         join checked on checked.cmd = k.cmd and checked.outcome = 'appended'
                where k.take
                on conflict do nothing
        ),
        write_keys as (
            insert into eventstore.idempotency
                select a.tenant_id, a.scope, a.key, a.fingerprint, a.aggregate_id, a.version, a.position, a.created, at
                from answers a
                where a.outcome = 'appended'
                  and a.key is not null
        ),
        write_snapshots as (
            insert into eventstore.snapshots
                select checked.tenant_id, checked.aggregate_type, checked.aggregate_id, s.version, s.state_version,
                       s.state::jsonb
                from unnest(s_cmd, s_version, s_state_version, s_state) as s(cmd, version, state_version, state)
                         join checked on checked.cmd = s.cmd and checked.outcome = 'appended'
                on conflict (tenant_id, aggregate_id, aggregate_type)
                    do update set version       = excluded.version,
                                  state_version = excluded.state_version,
                                  state         = excluded.state
        ),
        move_head as (
            update eventstore.head h
                set position = base + (select count(*) from e)
                where h.shard = 0 and exists (select from e)
        )
        select a.cmd, a.outcome, a.aggregate_id, a.version, a.position, a.created, a.detail
        from answers a
        order by a.cmd;
end
$$;

-- Loads streams: for each asked (tenant, type, id), in order, its snapshot (sequence null, if of `state_version`) and
-- the events after it.
create function eventstore.load(tenants uuid[], types text[], ids uuid[], state_versions integer[])
    returns table
            (
                stream        bigint,
                sequence      bigint,
                "position"    bigint,
                event_type    text,
                event_version integer,
                payload       text
            )
    language sql stable security definer set search_path = pg_catalog rows 100 as
$$
with asked as materialized (
    select a.stream, s.tenant_id, s.aggregate_type, s.aggregate_id, s.first_position, s.position,
           coalesce(snap.version, 0) as covered, snap.state, snap.version as snapshot_version
    from unnest(tenants, types, ids, state_versions)
             with ordinality as a(tenant_id, aggregate_type, aggregate_id, state_version, stream)
             join eventstore.streams s
                  on s.tenant_id = a.tenant_id and s.aggregate_id = a.aggregate_id and s.aggregate_type = a.aggregate_type
             left join eventstore.snapshots snap
                       on snap.tenant_id = a.tenant_id and snap.aggregate_id = a.aggregate_id
                           and snap.aggregate_type = a.aggregate_type and snap.state_version = a.state_version
)
select asked.stream, null, asked.position, null, asked.snapshot_version::integer, asked.state::text
from asked
where asked.state is not null
union all
(select asked.stream, e.sequence, e.position, e.event_type, e.event_version, e.payload::text
 from asked
          join eventstore.events e
               on e.tenant_id = asked.tenant_id and e.aggregate_id = asked.aggregate_id
                   and e.aggregate_type = asked.aggregate_type and e.sequence > asked.covered
                   -- Bounds the partitions that are looked into.
                   and e.position between asked.first_position and asked.position
 order by asked.stream, e.sequence)
$$;

-- Who holds these claims: one row per held one, with its place in the arrays.
create function eventstore.holders(tenants uuid[], scopes text[], claimed text[])
    returns table (claim bigint, aggregate_type text, aggregate_id uuid)
    language sql stable security definer set search_path = pg_catalog rows 10 as
$$
select a.claim, c.aggregate_type, c.aggregate_id
from unnest(tenants, scopes, claimed) with ordinality as a(tenant_id, scope, value, claim)
         join eventstore.claims c on c.tenant_id = a.tenant_id and c.scope = a.scope and c.value = a.value
$$;

-- The stored answer of a key, if there is one.
create function eventstore.answer(tenant uuid, key_scope text, idempotency_key text)
    returns table (fingerprint bytea, aggregate_id uuid, version bigint, "position" bigint, created boolean)
    language sql stable security definer set search_path = pg_catalog rows 1 as
$$
select i.fingerprint, i.aggregate_id, i.version, i.position, i.created
from eventstore.idempotency i
where i.tenant_id = tenant and i.scope = key_scope and i.key = idempotency_key
$$;

-- Which of these events are in the log, asked after a lost connection left a batch's outcome unknown. Taking the head
-- lock first waits for the lost transaction to end if it already holds the lock.
create function eventstore.settled(c_tenant uuid[], c_id uuid[], c_sequence bigint[], c_event uuid[])
    returns table (cmd bigint, "position" bigint)
    language plpgsql security definer set search_path = pg_catalog as
$$
#variable_conflict use_column
begin
    perform 1 from eventstore.head h where h.shard = 0 for update;
    return query
        select a.cmd, e.position
        from unnest(c_tenant, c_id, c_sequence, c_event) with ordinality as a(tenant_id, id, sequence, event_id, cmd)
                 join eventstore.events e
                      on e.tenant_id = a.tenant_id and e.aggregate_id = a.id and e.sequence = a.sequence
        where e.event_id = a.event_id;
end
$$;

-- Answers older than this may be forgotten; called by the relay's leader.
create function eventstore.forget_answers(older_than interval) returns bigint
    language sql security definer set search_path = pg_catalog as
$$
with gone as (delete from eventstore.idempotency where recorded_at < now() - greatest(older_than, interval '24 hours') returning 1)
select count(*) from gone
$$;

do
$$
declare
    f regprocedure;
begin
    for f in select p.oid::regprocedure from pg_proc p where p.pronamespace = 'eventstore'::regnamespace loop
        execute format('revoke execute on function %s from public', f);
    end loop;
end
$$;
grant execute on function
    eventstore.append(uuid[], text[], uuid[], bigint[], text[], text[], text[], bytea[], integer[], uuid[], text[], integer[], text[], integer[], boolean[], text[], text[], integer[], bigint[], integer[], text[]),
    eventstore.load(uuid[], text[], uuid[], integer[]),
    eventstore.holders(uuid[], text[], text[]),
    eventstore.answer(uuid, text, text),
    eventstore.settled(uuid[], uuid[], bigint[], uuid[])
    to ubos_command, ubos_worker;
grant execute on function eventstore.forget_answers(interval) to ubos_worker;
