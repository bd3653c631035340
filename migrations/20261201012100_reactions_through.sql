-- Whoever looks after a connection wants to know what waits for it. Only a lane that is blocked said so until now; one that waits because
-- the provider is away, or because a day's calls are used up, did not. So a lane knows through which connection its last try went.
-- And what waited for a connection in many lanes began at one moment when it was mended: a provider that was just agreed to again got a
-- thousand calls at once. Lanes go on in turn now, the one that has waited longest first.

alter table reactions.lanes
    -- The connection through which the last try went that used one.
    add column through text;
create index lanes_through on reactions.lanes (tenant_id, through) where through is not null;

drop function reactions.settle(uuid, bigint, integer, text, interval, boolean, text, text);

-- Notes what became of a try: `done`, `early`, `later`, `unknown`, `blocked`, `parked`, `stopped` or `dropped`, and through which connection
-- it went. False, and nothing, if the lease has ended and another has taken the job. Lost by a crash of the server, it is a lease that
-- ends; so nobody waits for the disk.
create function reactions.settle(
    worker uuid, job bigint, tries integer, outcome text, wait interval, holds_lane boolean, of_code text, of_why text, of_through text
) returns boolean
    language plpgsql set search_path = pg_catalog set enable_seqscan = off as
$$
declare
    moment timestamptz := clock_timestamp();
    -- What is not over is done again anyway.
    is_over boolean := outcome in ('done', 'dropped', 'parked', 'stopped');
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
        again    = false,
        state    = case
                       when is_over and j.again then 'due'
                       when outcome in ('early', 'later') then 'due'
                       when outcome = 'blocked' then j.state
                       when outcome = 'stopped' then 'parked'
                       else outcome end,
        in_lane  = is_over and j.again or outcome in ('early', 'later', 'unknown', 'blocked', 'stopped'),
        due_at   = case
                       when is_over and j.again then moment
                       when outcome = 'stopped' then 'infinity'::timestamptz
                       when outcome = 'blocked' then moment
                       else moment + wait end,
        -- What came too early was no try.
        attempts = case
                       when is_over and j.again then 0
                       else j.attempts - case when outcome in ('blocked', 'early') then 1 else 0 end end,
        tried_since = case when outcome = 'early' or is_over and j.again then null else j.tried_since end,
        code     = of_code,
        why      = of_why,
        ended_at = case when outcome in ('done', 'dropped') and not j.again then moment end
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
        through    = coalesce(of_through, l.through),
        -- Whoever says when to come again is well.
        ailing     = outcome in ('later', 'unknown') and not holds_lane
    where l.tenant_id = found_job.tenant_id and l.reaction = found_job.reaction and l.lane = found_job.lane;
    perform reactions.refresh(found_job.tenant_id, found_job.reaction, found_job.lane);
    return true;
end
$$;
revoke execute on function reactions.settle(uuid, bigint, integer, text, interval, boolean, text, text, text) from public;
grant execute on function reactions.settle(uuid, bigint, integer, text, interval, boolean, text, text, text) to ubos_worker;

drop function reactions.release(uuid, text);

-- A connection works again: its lanes go on, the one whose first job is the oldest at once, the nth of the others after the nth wait, and
-- those beyond the last with the last. Each is slow at first besides.
create function reactions.release(l_tenant uuid, connection text, waits interval[]) returns bigint
    language plpgsql set search_path = pg_catalog set enable_seqscan = off as
$$
declare
    moment  timestamptz := clock_timestamp();
    blocked record;
    released bigint := 0;
begin
    -- Lanes are locked in one order by everybody who locks several.
    perform 1
    from reactions.lanes l
    where l.tenant_id = l_tenant and l.blocked_on = connection
    order by l.reaction, l.lane for update;
    for blocked in
        select l.reaction, l.lane
        from reactions.lanes l
                 left join lateral (
            select j.id from reactions.jobs j
            where j.tenant_id = l.tenant_id and j.reaction = l.reaction and j.lane = l.lane and j.in_lane
            order by j.id limit 1
            ) first on true
        where l.tenant_id = l_tenant and l.blocked_on = connection
        order by first.id nulls last, l.reaction, l.lane
    loop
        released := released + 1;
        update reactions.lanes l
        set blocked_on = null, easing = 6,
            not_before = moment + coalesce(waits[least(released, cardinality(waits))], interval '0 seconds')
        where l.tenant_id = l_tenant and l.reaction = blocked.reaction and l.lane = blocked.lane;
        perform reactions.refresh(l_tenant, blocked.reaction, blocked.lane);
    end loop;
    return released;
end
$$;
revoke execute on function reactions.release(uuid, text, interval[]) from public;
grant execute on function reactions.release(uuid, text, interval[]) to ubos_worker;

-- How much waits for a connection is shown to whoever may see it. What receivers said, and what jobs are known by there, is not.
grant usage on schema reactions to ubos_query;
grant select (tenant_id, reaction, lane, due_at, blocked_on, through) on reactions.lanes to ubos_query;
grant select (tenant_id, id, reaction, lane, subject_id, state, in_lane, due_at, created_at, ended_at) on reactions.jobs to ubos_query;
