-- What opens a provider's doors, sealed with the firm's keys, and how much may still be asked of it: beside the log, because a grant is
-- replaced every half hour and a budget is spent with every call. command-api keeps what a provider has just given and can read none of
-- it; whoever speaks to providers is a worker.

create schema connect;
grant usage on schema connect to ubos_command, ubos_query, ubos_worker;

-- One grant per connection. Every refresh makes the next generation; what is sealed belongs to firm, connection, field and generation.
create table connect.links
(
    tenant_id       uuid        not null,
    connection_id   uuid        not null,
    provider        text        not null,
    generation      integer     not null check (generation > 0),
    -- Where the account is at the provider, and its id there.
    account_id      text        not null,
    base_url        text        not null,
    access_sealed   bytea       not null,
    refresh_sealed  bytea       not null,
    access_until    timestamptz not null,
    authorised_at   timestamptz not null default clock_timestamp(),
    refreshed_at    timestamptz not null default clock_timestamp(),
    is_paused       boolean     not null default false,
    -- `good`, `degraded` or `refused`: what the record of the connection is told.
    health          text        not null default 'good' check (health in ('good', 'degraded', 'refused')),
    trouble         text,
    detail          text,
    -- Failures since the last success.
    failures        integer     not null default 0,
    last_success_at timestamptz,
    last_failure_at timestamptz,
    -- How far the sweep has come that finds what no webhook said.
    swept_at        timestamptz,
    sweep_from      timestamptz,
    heard_at        timestamptz,
    primary key (tenant_id, connection_id)
);
-- A webhook's address names the connection alone. Two firms may have chosen one id; which is meant, the account in the message says.
create index links_connection on connect.links (connection_id);
create index links_refreshed on connect.links (refreshed_at) where health <> 'refused';
create index links_swept on connect.links (swept_at nulls first) where health <> 'refused' and not is_paused;
select shared.secure_tenant_table('connect.links', '{}', '{ubos_worker}');
-- How a connection is, and nothing that is sealed.
grant select (tenant_id, connection_id, provider, generation, access_until, authorised_at, refreshed_at, is_paused, health, trouble, failures,
    last_success_at, last_failure_at, swept_at, heard_at) on connect.links to ubos_query;

-- What was asked of a provider in the present span of each kind.
create table connect.budgets
(
    tenant_id     uuid        not null,
    connection_id uuid        not null,
    name          text        not null,
    begins_at     timestamptz not null,
    ends_at       timestamptz not null,
    used          integer     not null,
    most          integer     not null,
    primary key (tenant_id, connection_id, name)
);
select shared.secure_tenant_table('connect.budgets', '{ubos_query}', '{ubos_worker}');

-- Calls in flight; one whose process died is over at its end.
create table connect.calls
(
    tenant_id     uuid        not null,
    connection_id uuid        not null,
    call_id       uuid        not null,
    ends_at       timestamptz not null,
    primary key (tenant_id, connection_id, call_id)
);
select shared.secure_tenant_table('connect.calls', '{}', '{ubos_worker}');

-- What providers said by themselves: which things may have changed, never how. A row stays for a week, so that what comes again is known.
create table connect.inbox
(
    tenant_id     uuid        not null,
    connection_id uuid        not null,
    -- What the bytes hash to.
    message       bytea       not null,
    hints         jsonb       not null,
    received_at   timestamptz not null default clock_timestamp(),
    is_open       boolean     not null default true,
    primary key (tenant_id, connection_id, message)
);
create index inbox_open on connect.inbox (received_at) where is_open;
create index inbox_received on connect.inbox (received_at);
select shared.secure_tenant_table('connect.inbox', '{}', '{ubos_worker}');

-- The generation that the next grant of a connection would be.
create function connect.next_generation(tenant uuid, connection uuid) returns integer
    language sql stable security definer set search_path = pg_catalog as
$$
select coalesce(max(l.generation), 0) + 1 from connect.links l where l.tenant_id = tenant and l.connection_id = connection
$$;

-- Keeps a grant that somebody has just agreed to. False, and nothing, if another grant came first or if the connection leads to another
-- account.
create function connect.keep(
    tenant uuid, connection uuid, of_provider text, this_generation integer, account text, base text, access bytea, refresh bytea,
    access_for interval
) returns boolean
    language plpgsql security definer set search_path = pg_catalog as
$$
declare
    moment timestamptz := clock_timestamp();
begin
    insert into connect.links as l (tenant_id, connection_id, provider, generation, account_id, base_url, access_sealed, refresh_sealed,
                                    access_until, authorised_at, refreshed_at)
    values (tenant, connection, of_provider, this_generation, account, base, access, refresh, moment + access_for, moment, moment)
    on conflict (tenant_id, connection_id) do update
        set generation = excluded.generation, base_url = excluded.base_url, access_sealed = excluded.access_sealed,
            refresh_sealed = excluded.refresh_sealed, access_until = excluded.access_until, authorised_at = excluded.authorised_at,
            refreshed_at = excluded.refreshed_at, health = 'good', trouble = null, detail = null, failures = 0
        where l.generation = excluded.generation - 1 and l.account_id = excluded.account_id and l.provider = excluded.provider;
    return found;
end
$$;

-- Takes back a grant that was kept a moment ago and that the record does not take.
create function connect.forget(tenant uuid, connection uuid, this_generation integer) returns void
    language sql security definer set search_path = pg_catalog as
$$
delete from connect.links l where l.tenant_id = tenant and l.connection_id = connection and l.generation = this_generation
$$;

-- Whose connection a webhook may speak of, and which account it leads to.
create function connect.door(of_provider text, connection uuid) returns table (tenant_id uuid, account_id text)
    language sql stable security definer set search_path = pg_catalog rows 1 as
$$
select l.tenant_id, l.account_id from connect.links l where l.connection_id = connection and l.provider = of_provider limit 10
$$;

-- Takes in what a provider said; false if it said the same before.
create function connect.take_in(tenant uuid, connection uuid, hash bytea, of_hints jsonb) returns boolean
    language plpgsql security definer set search_path = pg_catalog as
$$
begin
    insert into connect.inbox (tenant_id, connection_id, message, hints) values (tenant, connection, hash, of_hints)
    on conflict do nothing;
    return found;
end
$$;

-- Takes what a call costs out of every budget, or out of none: then `wait` says how long it is until the one of that name has some
-- again. Not more than `at_once` are in flight.
create function connect.spend(
    tenant uuid, connection uuid, names text[], spans interval[], mosts integer[], at_once integer, lasts interval, out call uuid,
    out wait interval, out short_of text
)
    language plpgsql set search_path = pg_catalog as
$$
declare
    moment timestamptz;
    budget record;
    flying bigint;
begin
    -- One at a time asks for a connection; different ones do not wait for each other.
    perform pg_advisory_xact_lock(hashtextextended('connect.budgets ' || connection::text, 0));
    moment := clock_timestamp();
    delete from connect.calls c where c.tenant_id = tenant and c.connection_id = connection and c.ends_at <= moment;
    select count(*) into flying from connect.calls c where c.tenant_id = tenant and c.connection_id = connection;
    if flying >= at_once then
        wait := interval '1 second';
        short_of := 'concurrency';
        return;
    end if;
    for budget in select n.name, n.span, n.most from unnest(names, spans, mosts) as n(name, span, most) loop
        insert into connect.budgets as b (tenant_id, connection_id, name, begins_at, ends_at, used, most)
        values (tenant, connection, budget.name, moment, moment + budget.span, 0, budget.most)
        on conflict (tenant_id, connection_id, name) do update
            set begins_at = case when b.ends_at <= moment then moment else b.begins_at end,
                ends_at   = case when b.ends_at <= moment then moment + budget.span else b.ends_at end,
                used      = case when b.ends_at <= moment then 0 else b.used end,
                most      = excluded.most;
    end loop;
    select b.name, b.ends_at - moment into short_of, wait
    from connect.budgets b
    where b.tenant_id = tenant and b.connection_id = connection and b.name = any (names) and b.used >= b.most
    order by b.ends_at desc limit 1;
    if found then
        return;
    end if;
    update connect.budgets b set used = b.used + 1
    where b.tenant_id = tenant and b.connection_id = connection and b.name = any (names);
    call := gen_random_uuid();
    insert into connect.calls (tenant_id, connection_id, call_id, ends_at) values (tenant, connection, call, moment + lasts);
end
$$;

do
$$
declare
    f regprocedure;
begin
    for f in select p.oid::regprocedure from pg_proc p where p.pronamespace = 'connect'::regnamespace loop
        execute format('revoke execute on function %s from public', f);
    end loop;
end
$$;
grant execute on function connect.next_generation(uuid, uuid), connect.forget(uuid, uuid, integer), connect.door(text, uuid),
    connect.take_in(uuid, uuid, bytea, jsonb),
    connect.keep(uuid, uuid, text, integer, text, text, bytea, bytea, interval) to ubos_command, ubos_worker;
grant execute on function connect.spend(uuid, uuid, text[], interval[], integer[], integer, interval) to ubos_worker;
