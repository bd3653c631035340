-- The log and everything that is written in one transaction with it: stream versions, claims, idempotency, snapshots.

create schema eventstore;
grant usage on schema eventstore to ubos_command, ubos_query, ubos_worker;

-- One row. Its lock makes the history serial, so positions are dense, in commit order, and every check is race-free.
create table eventstore.head
(
    shard    smallint primary key default 0 check (shard = 0),
    position bigint not null
) with (fillfactor = 10);
insert into eventstore.head (position) values (0);
grant select on eventstore.head to ubos_command, ubos_query, ubos_worker;

create table eventstore.events
(
    position       bigint      not null primary key,
    event_id       uuid        not null,
    tenant_id      uuid        not null,
    domain         text        not null,
    aggregate_type text        not null,
    aggregate_id   uuid        not null,
    sequence       bigint      not null,
    event_type     text        not null,
    event_version  integer     not null,
    payload        jsonb       not null,
    metadata       jsonb       not null,
    recorded_at    timestamptz not null
) partition by range (position);
create index events_stream on eventstore.events (tenant_id, aggregate_id, sequence);

-- Append-only for everybody, the owner included.
create function eventstore.refuse_change() returns trigger
    language plpgsql as
$$
begin
    raise exception 'the event log is append-only: % refused', tg_op using errcode = 'insufficient_privilege';
end
$$;
-- Partitions of twenty million positions, so that old ones can be archived. `ubos migrate` and the relay's leader keep
-- at least one empty partition ahead of the head.
create function eventstore.ensure_partitions() returns integer
    language plpgsql security definer set search_path = pg_catalog as
$$
declare
    size    constant bigint := 20000000;
    needed  bigint;
    made    integer := 0;
    ordinal bigint;
begin
    select position / size + 1 into needed from eventstore.head;
    for ordinal in 0 .. needed loop
        if to_regclass(format('eventstore.events_%s', lpad(ordinal::text, 4, '0'))) is null then
            execute format('create table eventstore.events_%s partition of eventstore.events for values from (%s) to (%s)',
                           lpad(ordinal::text, 4, '0'), ordinal * size, (ordinal + 1) * size);
            -- Reached through the parent only: no grants, and row-level security without a policy refuses the rest.
            execute format('alter table eventstore.events_%s enable row level security', lpad(ordinal::text, 4, '0'));
            execute format('alter table eventstore.events_%s force row level security', lpad(ordinal::text, 4, '0'));
            execute format('create policy every_tenant on eventstore.events_%s to ubos_owner using (true) with check (true)',
                           lpad(ordinal::text, 4, '0'));
            -- Statement triggers are not inherited.
            execute format('create trigger append_only_truncate before truncate on eventstore.events_%s
                            for each statement execute function eventstore.refuse_change()', lpad(ordinal::text, 4, '0'));
            made := made + 1;
        end if;
    end loop;
    return made;
end
$$;
revoke execute on function eventstore.ensure_partitions() from public;
grant execute on function eventstore.ensure_partitions() to ubos_worker;
select eventstore.ensure_partitions();

create trigger append_only before update or delete on eventstore.events
    for each row execute function eventstore.refuse_change();
create trigger append_only_truncate before truncate on eventstore.events
    for each statement execute function eventstore.refuse_change();
select shared.secure_tenant_table('eventstore.events', '{ubos_command,ubos_query,ubos_worker}', '{}');

-- Texts in keys compare byte by byte, which is all that equality needs and much cheaper than a language's order.

-- The version of every stream. `first_position` and `position` let a load skip partitions.
create table eventstore.streams
(
    tenant_id      uuid             not null,
    aggregate_type text collate "C" not null,
    aggregate_id   uuid             not null,
    version        bigint           not null,
    first_position bigint           not null,
    position       bigint           not null,
    primary key (tenant_id, aggregate_id, aggregate_type)
) with (fillfactor = 80);
select shared.secure_tenant_table('eventstore.streams', '{ubos_command,ubos_worker}', '{}');

-- Values that at most one aggregate of a tenant may hold.
create table eventstore.claims
(
    tenant_id      uuid             not null,
    scope          text collate "C" not null,
    value          text collate "C" not null,
    aggregate_type text collate "C" not null,
    aggregate_id   uuid             not null,
    primary key (tenant_id, scope, value)
);
select shared.secure_tenant_table('eventstore.claims', '{ubos_command,ubos_worker}', '{}');

-- What was answered to whom, so that a repeat gets the same answer. Kept for at least 24 hours.
create table eventstore.idempotency
(
    tenant_id    uuid             not null,
    scope        text collate "C" not null,
    key          text collate "C" not null,
    fingerprint  bytea            not null,
    aggregate_id uuid             not null,
    version      bigint           not null,
    position     bigint           not null,
    created      boolean          not null,
    recorded_at  timestamptz      not null,
    primary key (tenant_id, scope, key)
);
create index idempotency_age on eventstore.idempotency using brin (recorded_at);
select shared.secure_tenant_table('eventstore.idempotency', '{ubos_command,ubos_worker}', '{}');

create table eventstore.snapshots
(
    tenant_id      uuid             not null,
    aggregate_type text collate "C" not null,
    aggregate_id   uuid             not null,
    version        bigint           not null,
    state_version  integer          not null,
    state          jsonb            not null,
    primary key (tenant_id, aggregate_id, aggregate_type)
);
select shared.secure_tenant_table('eventstore.snapshots', '{ubos_command,ubos_worker}', '{}');
