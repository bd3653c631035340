-- Where firms have their events sent, and what became of it: beside the log, because every try says something new. What waits is a job of
-- the reaction `webhooks.delivery`; what is sent is read from the log when it is sent, so no copy of it has to be erased. No secret is here:
-- an endpoint's is derived from the firm's keys, its id and the version at which it was made.

create schema webhooks;
grant usage on schema webhooks to ubos_query, ubos_worker;

-- An endpoint as its events say, and how it is. Whoever takes events in writes the first, whoever sends the second.
create table webhooks.endpoints
(
    tenant_id        uuid        not null,
    endpoint_id      uuid        not null,
    status           text        not null check (status in ('active', 'paused', 'disabled', 'removed')),
    url              text        not null,
    -- Which events; all if there are none.
    scopes           text[]      not null,
    is_ordered       boolean     not null,
    -- Who answers for it; none if UBOS itself does.
    owner            jsonb,
    -- The record's version at which its secret was made, and that of the one before, which is signed with for a while.
    secret_version   bigint      not null,
    previous_version bigint,
    previous_until   timestamptz,
    -- Failures since the last success, and since when.
    failures         integer     not null default 0,
    failing_since    timestamptz,
    -- Nothing is sent before this.
    shut_until       timestamptz not null default '-infinity',
    -- Its record was told that it fails.
    is_told          boolean     not null default false,
    last_success_at  timestamptz,
    last_failure_at  timestamptz,
    -- What the last answer was, or why there was none.
    last_status      integer,
    last_error       text,
    primary key (tenant_id, endpoint_id)
) with (fillfactor = 70);
select shared.secure_tenant_table('webhooks.endpoints', '{ubos_query}', '{ubos_worker}');

-- What became of an event at an endpoint, since it was first tried. Kept for 30 days.
create table webhooks.deliveries
(
    tenant_id       uuid        not null,
    endpoint_id     uuid        not null,
    event_id        uuid        not null,
    position        bigint      not null,
    event_type      text        not null,
    aggregate_id    uuid        not null,
    -- `withheld`: whoever answers for the endpoint may not read it. `skipped`: nothing is sent there any more.
    status          text        not null check (status in ('delivered', 'failing', 'given_up', 'withheld', 'skipped')),
    attempts        integer     not null,
    first_tried_at  timestamptz not null default clock_timestamp(),
    last_tried_at   timestamptz not null default clock_timestamp(),
    next_attempt_at timestamptz,
    answer_status   integer,
    error           text,
    took_ms         integer,
    is_replay       boolean     not null,
    primary key (tenant_id, endpoint_id, event_id)
) with (fillfactor = 80);
create index deliveries_tried on webhooks.deliveries (tenant_id, endpoint_id, last_tried_at desc);
create index deliveries_old on webhooks.deliveries (last_tried_at);
select shared.secure_tenant_table('webhooks.deliveries', '{ubos_query}', '{ubos_worker}');

-- How far a replay has come: by its job, because one endpoint may have several.
create table webhooks.replays
(
    tenant_id uuid   not null,
    job       bigint not null,
    position  bigint not null,
    primary key (tenant_id, job)
);
select shared.secure_tenant_table('webhooks.replays', '{}', '{ubos_worker}');

-- An endpoint takes events again: whatever of it waits for a later try is tried now.
create function webhooks.hasten(of_tenant uuid, endpoint uuid) returns bigint
    language plpgsql set search_path = pg_catalog set enable_seqscan = off as
$$
declare
    waiting  record;
    hastened bigint := 0;
begin
    for waiting in
        select l.lane from reactions.lanes l
        where l.tenant_id = of_tenant and l.reaction = 'webhooks.delivery'
          and (l.lane = endpoint::text or starts_with(l.lane, endpoint::text || '/'))
          and l.blocked_on is null
        order by l.lane limit 10000 for update
    loop
        update reactions.jobs j
        set due_at = clock_timestamp()
        where j.tenant_id = of_tenant and j.reaction = 'webhooks.delivery' and j.lane = waiting.lane and j.in_lane
          and j.lease is null and j.due_at > clock_timestamp();
        if found then
            hastened := hastened + 1;
            perform reactions.refresh(of_tenant, 'webhooks.delivery', waiting.lane);
        end if;
    end loop;
    return hastened;
end
$$;
revoke execute on function webhooks.hasten(uuid, uuid) from public;
grant execute on function webhooks.hasten(uuid, uuid) to ubos_worker;
