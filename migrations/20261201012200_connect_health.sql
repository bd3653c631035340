-- How a connection is has parts that nobody wrote down: until when its grant can be renewed at all, whether renewing has failed while the
-- token at hand still works, and for each thing that is kept in step with the provider how far that has come, when it last succeeded,
-- and until when the provider tells of changes by itself. None of it is an event: it changes with every call.

alter table connect.links
    -- Until when the grant can be replaced, as far as the provider says so.
    add column refresh_until    timestamptz,
    -- Since the grant was last replaced: how often that failed. A token that still works says nothing about it.
    add column refresh_failures integer not null default 0;
grant select (refresh_until, refresh_failures) on connect.links to ubos_query;

-- What is kept in step with the provider, each by its name: `changes`, `mail`, `calendar`.
create table connect.syncs
(
    tenant_id          uuid    not null,
    connection_id      uuid    not null,
    name               text    not null check (name ~ '^[a-z][a-z0-9_/-]{0,99}$'),
    -- Whatever happened at the provider before this is known here.
    cursor_at          timestamptz,
    last_success_at    timestamptz,
    last_failure_at    timestamptz,
    -- Failures since the last success, and what the last one was.
    failures           integer not null default 0,
    trouble            text,
    detail             text,
    -- When it is done next.
    next_at            timestamptz,
    -- Until when the provider tells of changes by itself.
    subscription_until timestamptz,
    -- Of what is read from the beginning: so many of so many.
    done_count         bigint,
    total_count        bigint,
    -- Somebody wants everything since then read again. Whoever syncs takes it away when it begins.
    resync_from        timestamptz,
    primary key (tenant_id, connection_id, name)
);
select shared.secure_tenant_table('connect.syncs', '{}', '{ubos_worker}');
-- Without what the provider said, which may name a person.
grant select (tenant_id, connection_id, name, cursor_at, last_success_at, last_failure_at, failures, trouble, next_at, subscription_until,
    done_count, total_count, resync_from) on connect.syncs to ubos_query;

drop function connect.keep(uuid, uuid, text, integer, text, text, bytea, bytea, interval);

-- Keeps a grant that somebody has just agreed to; `refresh_for` is how long it can be replaced, if the provider says so. False, and
-- nothing, if another grant came first or if the connection leads to another account.
create function connect.keep(
    tenant uuid, connection uuid, of_provider text, this_generation integer, account text, base text, access bytea, refresh bytea,
    access_for interval, refresh_for interval default null
) returns boolean
    language plpgsql security definer set search_path = pg_catalog as
$$
declare
    moment timestamptz := clock_timestamp();
begin
    insert into connect.links as l (tenant_id, connection_id, provider, generation, account_id, base_url, access_sealed, refresh_sealed,
                                    access_until, authorised_at, refreshed_at, refresh_until)
    values (tenant, connection, of_provider, this_generation, account, base, access, refresh, moment + access_for, moment, moment,
            moment + refresh_for)
    on conflict (tenant_id, connection_id) do update
        set generation = excluded.generation, base_url = excluded.base_url, access_sealed = excluded.access_sealed,
            refresh_sealed = excluded.refresh_sealed, access_until = excluded.access_until, authorised_at = excluded.authorised_at,
            refreshed_at = excluded.refreshed_at, refresh_until = excluded.refresh_until, refresh_failures = 0, health = 'good',
            trouble = null, detail = null, failures = 0
        where l.generation = excluded.generation - 1 and l.account_id = excluded.account_id and l.provider = excluded.provider;
    return found;
end
$$;
revoke execute on function connect.keep(uuid, uuid, text, integer, text, text, bytea, bytea, interval, interval) from public;
grant execute on function connect.keep(uuid, uuid, text, integer, text, text, bytea, bytea, interval, interval) to ubos_command, ubos_worker;
