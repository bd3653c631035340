-- What the log does not hold, because nothing happened: changes that were refused, and when keys were used last.
-- docs/adr/0024 says why these are tables of their own.

create schema audit;
grant usage on schema audit to ubos_command, ubos_query;

-- Refusals of one kind that were written down together. `at` is when that was, so that nothing comes in behind a reader.
create table audit.refusals
(
    tenant_id      uuid        not null,
    id             uuid        not null,
    at             timestamptz not null default now(),
    permission     text        not null,
    aggregate_type text        not null,
    -- The records that were asked for, the first ten of them.
    aggregate_ids  uuid[]      not null,
    actor_kind     text        not null,
    actor          text        not null,
    api_key_id     uuid,
    reason         text        not null,
    detail         text        not null,
    -- Of the first.
    correlation_id uuid        not null,
    client_address text,
    count          bigint      not null check (count > 0),
    first_at       timestamptz not null,
    last_at        timestamptz not null,
    primary key (tenant_id, id)
);
create index refusals_at on audit.refusals (tenant_id, at, id);
create index refusals_age on audit.refusals using brin (at);
select shared.secure_tenant_table('audit.refusals', '{ubos_query}', '{}');

-- Append-only for everybody, the owner included; only what is older than 400 days may go.
create function audit.refuse_change() returns trigger
    language plpgsql as
$$
begin
    if tg_op = 'DELETE' then
        if old.at < now() - interval '400 days' then
            return old;
        end if;
    end if;
    raise exception 'the audit trail is append-only: % refused', tg_op using errcode = 'insufficient_privilege';
end
$$;
create trigger append_only before update or delete on audit.refusals
    for each row execute function audit.refuse_change();
create trigger append_only_truncate before truncate on audit.refusals
    for each statement execute function audit.refuse_change();

-- Written again under the same ids, refusals are noted once.
create function audit.note_refusals(noted jsonb) returns void
    language sql security definer set search_path = pg_catalog as
$$
    insert into audit.refusals (tenant_id, id, permission, aggregate_type, aggregate_ids, actor_kind, actor, api_key_id, reason,
                                detail, correlation_id, client_address, count, first_at, last_at)
    select tenant_id, id, permission, aggregate_type, aggregate_ids, actor_kind, actor, api_key_id, reason,
           detail, correlation_id, client_address, count, first_at, last_at
    from jsonb_to_recordset(noted) as r(tenant_id uuid, id uuid, permission text, aggregate_type text, aggregate_ids uuid[],
                                        actor_kind text, actor text, api_key_id uuid, reason text, detail text,
                                        correlation_id uuid, client_address text, count bigint, first_at timestamptz,
                                        last_at timestamptz)
    on conflict (tenant_id, id) do nothing
$$;

-- Forgets refusals that are older than they have to be kept, some at a time; answers how many.
create function audit.forget_refusals() returns bigint
    language sql security definer set search_path = pg_catalog as
$$
    with old as (select tenant_id, id from audit.refusals where at < now() - interval '400 days' limit 10000),
         gone as (delete from audit.refusals r using old where r.tenant_id = old.tenant_id and r.id = old.id returning 1)
    select count(*) from gone
$$;

-- When each key was used last, to the minute.
create table audit.api_key_uses
(
    tenant_id    uuid        not null,
    api_key_id   uuid        not null,
    last_used_at timestamptz not null,
    primary key (tenant_id, api_key_id)
) with (fillfactor = 80);
select shared.secure_tenant_table('audit.api_key_uses', '{ubos_query}', '{}');

create function audit.note_api_key_uses(tenants uuid[], keys uuid[], times timestamptz[]) returns void
    language sql security definer set search_path = pg_catalog as
$$
    insert into audit.api_key_uses as u (tenant_id, api_key_id, last_used_at)
    -- In one order, so that two writers never wait for each other in a circle.
    select * from unnest(tenants, keys, times) as t(tenant, key, used) order by tenant, key
    on conflict (tenant_id, api_key_id) do update set last_used_at = excluded.last_used_at
        where u.last_used_at < excluded.last_used_at
$$;

revoke execute on function audit.note_refusals(jsonb), audit.forget_refusals(),
    audit.note_api_key_uses(uuid[], uuid[], timestamptz[]) from public;
grant execute on function audit.note_refusals(jsonb), audit.forget_refusals() to ubos_command;
grant execute on function audit.note_api_key_uses(uuid[], uuid[], timestamptz[]) to ubos_command, ubos_query;
