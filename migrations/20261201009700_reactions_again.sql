-- A job whose key comes again while it is in work may have asked already, before what it is asked about again happened. That it was
-- asked for is noted, and it is done once more when it ends; before, it was taken for the one in work, and a payment of which a
-- provider spoke at that moment waited for the next sweep.

alter table reactions.jobs
    -- It was asked for again while somebody was at it.
    add column again boolean not null default false;

-- Adds jobs, in the caller's transaction; one with a time is due then. One whose key its lane has seen is there already; if it `renews`,
-- it is to be done again, at once or, if it is in work, after that.
create or replace function reactions.put(
    of_reaction text, tenants uuid[], names text[], keys text[], positions bigint[], subjects uuid[],
    widths integer[], everys interval[], bursts integer[], dues timestamptz[], renews boolean
) returns void
    language plpgsql set search_path = pg_catalog set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as
$$
begin
    -- Lanes are locked in one order by everybody who locks several, and before their jobs, as whoever settles one does.
    insert into reactions.lanes (tenant_id, reaction, lane, width, every, burst)
    select distinct on (n.tenant_id, n.lane) n.tenant_id, of_reaction, n.lane, n.width, n.every, n.burst
    from unnest(tenants, names, widths, everys, bursts) with ordinality as n(tenant_id, lane, width, every, burst, place)
    order by n.tenant_id, n.lane, n.place desc
    on conflict (tenant_id, reaction, lane) do update
        set width = excluded.width, every = excluded.every, burst = excluded.burst;
    if renews then
        insert into reactions.jobs as j (tenant_id, reaction, lane, key, position, subject_id, due_at)
        select distinct on (n.tenant_id, n.lane, n.key) n.tenant_id, of_reaction, n.lane, n.key, n.position, n.subject_id,
               coalesce(n.due_at, clock_timestamp())
        from unnest(tenants, names, keys, positions, subjects, dues) as n(tenant_id, lane, key, position, subject_id, due_at)
        on conflict (tenant_id, reaction, lane, key) do update
            -- One that is in work may have asked already, before what this is about happened: it is done once more.
            set again       = j.lease is not null,
                state       = case when j.lease is null then 'due' else j.state end,
                in_lane     = j.lease is null or j.in_lane,
                due_at      = case when j.lease is null then excluded.due_at else j.due_at end,
                attempts    = case when j.lease is null then 0 else j.attempts end,
                tried_since = case when j.lease is null then null else j.tried_since end,
                code        = case when j.lease is null then null else j.code end,
                ended_at    = null;
    else
        insert into reactions.jobs (tenant_id, reaction, lane, key, position, subject_id, due_at)
        select n.tenant_id, of_reaction, n.lane, n.key, n.position, n.subject_id, coalesce(n.due_at, now())
        from unnest(tenants, names, keys, positions, subjects, dues)
                 with ordinality as n(tenant_id, lane, key, position, subject_id, due_at, place)
        order by n.place
        on conflict (tenant_id, reaction, lane, key) do nothing;
    end if;
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

-- Notes what became of a try: `done`, `early`, `later`, `unknown`, `blocked`, `parked`, `stopped` or `dropped`. False, and nothing, if the
-- lease has ended and another has taken the job. Lost by a crash of the server, it is a lease that ends; so nobody waits for the disk.
create or replace function reactions.settle(
    worker uuid, job bigint, tries integer, outcome text, wait interval, holds_lane boolean, of_code text, of_why text
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
        -- Whoever says when to come again is well.
        ailing     = outcome in ('later', 'unknown') and not holds_lane
    where l.tenant_id = found_job.tenant_id and l.reaction = found_job.reaction and l.lane = found_job.lane;
    perform reactions.refresh(found_job.tenant_id, found_job.reaction, found_job.lane);
    return true;
end
$$;
