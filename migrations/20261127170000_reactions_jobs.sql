-- What is to be done outside because of an event: an email, a webhook, an erasure. An event becomes a job in the transaction that
-- moves its reaction's checkpoint past it, so each event leads to each job once. What a job is about is read from its event when
-- it is done, so nothing personal stands here, except in what a receiver may have said.

create schema reactions;
grant usage on schema reactions to ubos_worker;

-- How far each reaction has read the log, moved by compare-and-set.
create table reactions.checkpoints
(
    reader   text primary key,
    position bigint not null
) with (fillfactor = 10);
grant select, insert, update on reactions.checkpoints to ubos_worker;

create table reactions.jobs
(
    tenant_id   uuid        not null,
    -- Also the order of its lane.
    id          bigint      generated always as identity primary key,
    reaction    text        not null,
    lane        text        not null,
    -- What the receiver knows it by if it comes twice: the event's id.
    key         text        not null,
    -- The event that asks for it, if one does.
    position    bigint,
    -- The stream that it is about: what was said of it is forgotten with that.
    subject_id  uuid,
    state       text        not null default 'due' check (state in ('due', 'unknown', 'parked', 'done', 'dropped')),
    -- Does the lane wait for it? A job that is parked may let the lane go on, or not.
    in_lane     boolean     not null default true,
    -- When it may be tried; while somebody tries it, the end of the lease.
    due_at      timestamptz not null default now(),
    -- Who tries it. A lease that ends leaves its mark, because nobody knows what became of that try.
    lease       uuid,
    attempts    integer     not null default 0,
    -- Since when it is tried: from when on it is given up counts from here.
    tried_since timestamptz,
    -- Why it was not done.
    code        text,
    why         text,
    created_at  timestamptz not null default now(),
    ended_at    timestamptz
) with (fillfactor = 70);
create unique index jobs_key on reactions.jobs (tenant_id, reaction, lane, key);
create index jobs_lane on reactions.jobs (tenant_id, reaction, lane, id) where in_lane;
create index jobs_open on reactions.jobs (reaction, state, id) where ended_at is null;
create index jobs_parked on reactions.jobs (tenant_id, reaction, lane) where state = 'parked';
create index jobs_ended on reactions.jobs (ended_at) where ended_at is not null;
create index jobs_said on reactions.jobs (tenant_id, subject_id) where why is not null;
select shared.secure_tenant_table('reactions.jobs', '{}', '{ubos_worker}');

-- One row per lane with something to do. It is what is taken in turn, so that a receiver that is away costs its own lane a row
-- that is not due, and the others nothing.
create table reactions.lanes
(
    tenant_id  uuid        not null,
    reaction   text        not null,
    lane       text        not null,
    -- Jobs that may be tried at once: the first so many. One keeps the order.
    width      integer     not null default 1,
    -- The budget: a job each `every`, and `burst` of them at once. None if there is no bound.
    every      interval,
    burst      integer     not null default 1,
    -- When the next job may be tried; infinity if none.
    due_at     timestamptz not null default 'infinity',
    -- Not before this: the budget is used up, the receiver said when to come again, or the connection is broken.
    not_before timestamptz not null default '-infinity',
    -- When the budget would be whole again (GCRA's theoretical arrival time).
    whole_at   timestamptz,
    -- The connection that must be mended before anything is of use.
    blocked_on text,
    -- After that, so many jobs come with a pause before each, every one half as long.
    easing     smallint    not null default 0,
    -- Its last try failed or had no end. Such lanes are tried in rooms of their own, so that receivers that let us wait fill no others.
    ailing     boolean     not null default false,
    primary key (tenant_id, reaction, lane)
) with (fillfactor = 70);
create index lanes_due on reactions.lanes (reaction, ailing, tenant_id, due_at);
create index lanes_blocked on reactions.lanes (tenant_id, blocked_on) where blocked_on is not null;
select shared.secure_tenant_table('reactions.lanes', '{}', '{ubos_worker}');

-- When something of a firm was last taken: the firm whose turn is longest ago is next.
create table reactions.turns
(
    tenant_id uuid        not null,
    reaction  text        not null,
    taken_at  timestamptz not null,
    primary key (tenant_id, reaction)
) with (fillfactor = 50);
select shared.secure_tenant_table('reactions.turns', '{}', '{ubos_worker}');

-- Works out when a lane is due. The caller holds the lane's lock, and a statement sees what was committed before it began: so
-- whoever adds a job or ends one leaves a lane that knows of both.
create function reactions.refresh(l_tenant uuid, l_reaction text, l_lane text) returns void
    language plpgsql set search_path = pg_catalog set enable_seqscan = off as
$$
declare
    soonest timestamptz;
begin
    select min(first.due_at)
    into soonest
    from reactions.lanes l
             cross join lateral (
        select j.due_at
        from reactions.jobs j
        where j.tenant_id = l.tenant_id and j.reaction = l.reaction and j.lane = l.lane and j.in_lane
        order by j.id
        limit l.width
        ) first
    where l.tenant_id = l_tenant and l.reaction = l_reaction and l.lane = l_lane;
    -- At least now, so that a lane that was just served comes after those that have waited.
    update reactions.lanes l
    set due_at = case when soonest is null then 'infinity' else greatest(soonest, l.not_before, clock_timestamp()) end
    where l.tenant_id = l_tenant and l.reaction = l_reaction and l.lane = l_lane;
end
$$;
revoke execute on function reactions.refresh(uuid, text, text) from public;
grant execute on function reactions.refresh(uuid, text, text) to ubos_worker;

-- Adds jobs, in the caller's transaction. One whose key its lane has seen is there already; if it `renews`, it is to be done again.
create function reactions.put(
    of_reaction text, tenants uuid[], names text[], keys text[], positions bigint[], subjects uuid[],
    widths integer[], everys interval[], bursts integer[], renews boolean
) returns void
    language plpgsql set search_path = pg_catalog set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as
$$
begin
    if renews then
        insert into reactions.jobs as j (tenant_id, reaction, lane, key, position, subject_id)
        select distinct on (n.tenant_id, n.lane, n.key) n.tenant_id, of_reaction, n.lane, n.key, n.position, n.subject_id
        from unnest(tenants, names, keys, positions, subjects) as n(tenant_id, lane, key, position, subject_id)
        on conflict (tenant_id, reaction, lane, key) do update
            set state = 'due', in_lane = true, due_at = clock_timestamp(), attempts = 0, tried_since = null, code = null,
                ended_at = null
            -- One that is in work is what was asked for.
            where j.lease is null;
    else
        insert into reactions.jobs (tenant_id, reaction, lane, key, position, subject_id)
        select n.tenant_id, of_reaction, n.lane, n.key, n.position, n.subject_id
        from unnest(tenants, names, keys, positions, subjects)
                 with ordinality as n(tenant_id, lane, key, position, subject_id, place)
        order by n.place
        on conflict (tenant_id, reaction, lane, key) do nothing;
    end if;
    -- Lanes are locked in one order by everybody who locks several.
    insert into reactions.lanes (tenant_id, reaction, lane, width, every, burst)
    select distinct on (n.tenant_id, n.lane) n.tenant_id, of_reaction, n.lane, n.width, n.every, n.burst
    from unnest(tenants, names, widths, everys, bursts) with ordinality as n(tenant_id, lane, width, every, burst, place)
    order by n.tenant_id, n.lane, n.place desc
    on conflict (tenant_id, reaction, lane) do update
        set width = excluded.width, every = excluded.every, burst = excluded.burst;
    -- A lane that waits for its turn keeps its place.
    update reactions.lanes l
    set due_at = least(l.due_at, greatest(found.due_at, l.not_before, clock_timestamp()))
    from (select o.tenant_id, o.lane,
                 (select min(first.due_at)
                  from (select j.due_at
                        from reactions.jobs j
                        where j.tenant_id = o.tenant_id and j.reaction = of_reaction and j.lane = o.lane and j.in_lane
                        order by j.id
                        limit o.width) first) as due_at
          from (select distinct n.tenant_id, n.lane from unnest(tenants, names) as n(tenant_id, lane)) touched
                   join reactions.lanes o
                        on o.tenant_id = touched.tenant_id and o.reaction = of_reaction and o.lane = touched.lane) found
    where l.tenant_id = found.tenant_id and l.reaction = of_reaction and l.lane = found.lane and found.due_at is not null;
end
$$;
revoke execute on function reactions.put(text, uuid[], text[], text[], bigint[], uuid[], integer[], interval[], integer[], boolean) from public;
grant execute on function reactions.put(text, uuid[], text[], text[], bigint[], uuid[], integer[], interval[], integer[], boolean) to ubos_worker;

-- Takes due jobs: firms in turn, the one served longest ago first; within a firm lanes in turn; within a lane the first that may be
-- tried. This waits for the disk, because a try that nobody knows of would be made again without a look at what became of it.
create function reactions.take(worker uuid, of_reaction text, of_ailing boolean, lease_for interval, at_most integer)
    returns table (id bigint, tenant_id uuid, lane text, key text, "position" bigint, subject_id uuid, attempts integer,
                   in_doubt boolean, why text, tried_for interval)
    language plpgsql
    set search_path = pg_catalog set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as
$$
#variable_conflict use_column
declare
    moment timestamptz := clock_timestamp();
    chosen record;
    job    record;
begin
    for chosen in
        with recursive tenants as (
            (select l.tenant_id from reactions.lanes l where l.reaction = of_reaction and l.ailing = of_ailing order by l.tenant_id limit 1)
            union all
            select (select l.tenant_id
                    from reactions.lanes l
                    where l.reaction = of_reaction and l.ailing = of_ailing and l.tenant_id > tenants.tenant_id
                    order by l.tenant_id
                    limit 1)
            from tenants
            where tenants.tenant_id is not null
        ),
            due as materialized (
                select d.*, t.taken_at, row_number() over (partition by d.tenant_id order by d.due_at, d.lane) as turn
                from tenants
                         cross join lateral (
                    select l.tenant_id, l.lane, l.due_at
                    from reactions.lanes l
                    where l.reaction = of_reaction and l.ailing = of_ailing and l.tenant_id = tenants.tenant_id
                      and l.due_at <= moment
                    order by l.due_at
                    limit at_most * 2
                    ) d
                         left join reactions.turns t on t.tenant_id = d.tenant_id and t.reaction = of_reaction
            ),
            -- More than are wanted, because others may be taking the first of them.
            ranked as materialized (
                select due.* from due order by due.turn, due.taken_at nulls first, due.due_at limit at_most * 2
            )
        select l.*
        from ranked r
                 join reactions.lanes l on l.tenant_id = r.tenant_id and l.reaction = of_reaction and l.lane = r.lane
        where l.due_at <= moment and l.ailing = of_ailing
        order by r.turn, r.taken_at nulls first, r.due_at
        limit at_most for update of l skip locked
    loop
        select j.*
        into job
        from (select w.*
              from reactions.jobs w
              where w.tenant_id = chosen.tenant_id and w.reaction = of_reaction and w.lane = chosen.lane and w.in_lane
              order by w.id
              limit chosen.width) j
        where j.due_at <= moment
        order by j.id
        limit 1;
        -- If there is none, the lease of the one in work was renewed since.
        if found then
            update reactions.jobs j
            set lease = worker, due_at = moment + lease_for, attempts = j.attempts + 1, tried_since = coalesce(j.tried_since, moment)
            where j.id = job.id;
            update reactions.lanes l
            set whole_at   = greatest(l.whole_at, moment) + l.every,
                not_before = greatest(
                        l.not_before,
                        greatest(l.whole_at, moment) + l.every - l.every * (l.burst - 1),
                        case when l.easing > 0 then moment + interval '50 milliseconds' * (1 << l.easing) end),
                easing     = greatest(l.easing - 1, 0)
            where l.tenant_id = chosen.tenant_id and l.reaction = of_reaction and l.lane = chosen.lane;
            insert into reactions.turns (tenant_id, reaction, taken_at)
            values (chosen.tenant_id, of_reaction, clock_timestamp())
            on conflict (tenant_id, reaction) do update set taken_at = excluded.taken_at;
            return query select job.id, job.tenant_id, job.lane, job.key, job.position, job.subject_id, job.attempts + 1,
                                job.state = 'unknown' or job.lease is not null, job.why, moment - coalesce(job.tried_since, moment);
        end if;
        perform reactions.refresh(chosen.tenant_id, of_reaction, chosen.lane);
    end loop;
end
$$;
revoke execute on function reactions.take(uuid, text, boolean, interval, integer) from public;
grant execute on function reactions.take(uuid, text, boolean, interval, integer) to ubos_worker;

-- Notes what became of a try: `done`, `later`, `unknown`, `blocked`, `parked`, `stopped` or `dropped`. False, and nothing, if the
-- lease has ended and another has taken the job. Lost by a crash of the server, it is a lease that ends; so nobody waits for the disk.
create function reactions.settle(
    worker uuid, job bigint, tries integer, outcome text, wait interval, holds_lane boolean, of_code text, of_why text
) returns boolean
    language plpgsql set search_path = pg_catalog set enable_seqscan = off as
$$
declare
    moment timestamptz := clock_timestamp();
    found_job record;
begin
    perform set_config('synchronous_commit', 'off', true);
    select j.tenant_id, j.reaction, j.lane into found_job
    from reactions.jobs j
    where j.id = job and j.lease = worker and j.attempts = tries;
    if not found then
        return false;
    end if;
    perform 1
    from reactions.lanes l
    where l.tenant_id = found_job.tenant_id and l.reaction = found_job.reaction and l.lane = found_job.lane
    for update;
    update reactions.jobs j
    set lease    = null,
        state    = case outcome when 'later' then 'due' when 'blocked' then j.state when 'stopped' then 'parked' else outcome end,
        in_lane  = outcome in ('later', 'unknown', 'blocked', 'stopped'),
        due_at   = case outcome when 'stopped' then 'infinity'::timestamptz when 'blocked' then moment else moment + wait end,
        attempts = j.attempts - case outcome when 'blocked' then 1 else 0 end,
        code     = of_code,
        why      = of_why,
        ended_at = case when outcome in ('done', 'dropped') then moment end
    where j.id = job and j.lease = worker and j.attempts = tries;
    if not found then
        return false;
    end if;
    update reactions.lanes l
    set not_before = case
                         when outcome = 'blocked' then moment + wait
                         when holds_lane then greatest(l.not_before, moment + wait)
                         else l.not_before end,
        blocked_on = case outcome when 'blocked' then of_code end,
        -- Whoever says when to come again is well.
        ailing     = outcome in ('later', 'unknown') and not holds_lane
    where l.tenant_id = found_job.tenant_id and l.reaction = found_job.reaction and l.lane = found_job.lane;
    perform reactions.refresh(found_job.tenant_id, found_job.reaction, found_job.lane);
    return true;
end
$$;
revoke execute on function reactions.settle(uuid, bigint, integer, text, interval, boolean, text, text) from public;
grant execute on function reactions.settle(uuid, bigint, integer, text, interval, boolean, text, text) to ubos_worker;

-- What an operator does about jobs: `retry` begins anew what was parked and hastens what waits, `drop` ends what is not in work.
create function reactions.move(jobs bigint[], how text, of_why text) returns bigint
    language plpgsql set search_path = pg_catalog set enable_seqscan = off as
$$
declare
    job   record;
    moved bigint := 0;
begin
    for job in
        select j.id, j.tenant_id, j.reaction, j.lane from reactions.jobs j where j.id = any (jobs)
        order by j.tenant_id, j.reaction, j.lane, j.id
    loop
        insert into reactions.lanes (tenant_id, reaction, lane) values (job.tenant_id, job.reaction, job.lane)
        on conflict (tenant_id, reaction, lane) do update set not_before = '-infinity';
        if how = 'retry' then
            update reactions.jobs j
            set state = case j.state when 'parked' then 'due' else j.state end, in_lane = true, due_at = clock_timestamp(),
                attempts = case j.state when 'parked' then 0 else j.attempts end,
                tried_since = case j.state when 'parked' then null else j.tried_since end
            where j.id = job.id and j.ended_at is null and j.lease is null;
        else
            update reactions.jobs j
            set state = 'dropped', in_lane = false, code = 'dropped', why = of_why, ended_at = clock_timestamp()
            where j.id = job.id and j.ended_at is null and j.lease is null;
        end if;
        if found then
            moved := moved + 1;
        end if;
        perform reactions.refresh(job.tenant_id, job.reaction, job.lane);
    end loop;
    return moved;
end
$$;
revoke execute on function reactions.move(bigint[], text, text) from public;
grant execute on function reactions.move(bigint[], text, text) to ubos_worker;

-- A connection works again: its lanes go on, slowly at first.
create function reactions.release(l_tenant uuid, connection text) returns bigint
    language plpgsql set search_path = pg_catalog set enable_seqscan = off as
$$
declare
    blocked  record;
    released bigint := 0;
begin
    for blocked in
        select l.reaction, l.lane from reactions.lanes l
        where l.tenant_id = l_tenant and l.blocked_on = connection
        order by l.reaction, l.lane for update
    loop
        update reactions.lanes l set blocked_on = null, not_before = '-infinity', easing = 6
        where l.tenant_id = l_tenant and l.reaction = blocked.reaction and l.lane = blocked.lane;
        perform reactions.refresh(l_tenant, blocked.reaction, blocked.lane);
        released := released + 1;
    end loop;
    return released;
end
$$;
revoke execute on function reactions.release(uuid, text) from public;
grant execute on function reactions.release(uuid, text) to ubos_worker;

-- Forgets what has ended long ago, and lanes with nothing left in them.
create function reactions.tidy(kept_for interval) returns bigint
    language plpgsql set search_path = pg_catalog set enable_seqscan = off as
$$
declare
    gone bigint;
begin
    perform set_config('synchronous_commit', 'off', true);
    delete from reactions.jobs j
    where j.id in (select o.id from reactions.jobs o where o.ended_at < now() - kept_for order by o.ended_at limit 1000);
    get diagnostics gone = row_count;
    -- Whoever adds a job to a lane holds its lock and leaves it due. One with a parked job keeps its width and budget for a retry.
    delete from reactions.lanes l
    where l.due_at = 'infinity' and l.not_before < now() and coalesce(l.whole_at, now()) <= now()
      and not exists (select from reactions.jobs j
                      where j.tenant_id = l.tenant_id and j.reaction = l.reaction and j.lane = l.lane and j.in_lane)
      and not exists (select from reactions.jobs j
                      where j.tenant_id = l.tenant_id and j.reaction = l.reaction and j.lane = l.lane and j.state = 'parked');
    delete from reactions.turns t where t.taken_at < now() - interval '1 hour';
    return gone;
end
$$;
revoke execute on function reactions.tidy(interval) from public;
grant execute on function reactions.tidy(interval) to ubos_worker;
