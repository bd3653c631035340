-- Keys, wrapped: with what is here alone nobody opens anything. The key that wraps a tenant's data keys is not in the
-- database, and a data key wraps the keys of the tenant's subjects.

create schema vault;
grant usage on schema vault to ubos_command, ubos_query, ubos_worker;

create table vault.data_keys
(
    tenant_id      uuid        not null,
    generation     integer     not null check (generation > 0),
    wrapped        bytea       not null,
    -- The name of the key-encryption key.
    wrapped_by     text        not null,
    -- How many texts processes may have sealed with it.
    seals_reserved bigint      not null default 0,
    made_at        timestamptz not null default clock_timestamp(),
    primary key (tenant_id, generation)
);
select shared.secure_tenant_table('vault.data_keys', '{}', '{}');
grant select, update on vault.data_keys to ubos_worker;

-- A key that was destroyed stays as a row without it, so that its generation is never given again.
create table vault.subject_keys
(
    tenant_id  uuid    not null,
    subject_id uuid    not null,
    generation integer not null check (generation > 0),
    wrapped    bytea,
    primary key (tenant_id, subject_id, generation)
);
select shared.secure_tenant_table('vault.subject_keys', '{ubos_worker}', '{}');

-- What was destroyed, for ever: whoever restores an older backup destroys these keys once more.
create table vault.destroyed_keys
(
    serial       bigint primary key generated always as identity,
    tenant_id    uuid        not null,
    subject_id   uuid        not null,
    generation   integer     not null,
    destroyed_at timestamptz not null default clock_timestamp()
);
select shared.secure_tenant_table('vault.destroyed_keys', '{ubos_worker}', '{}');

create function vault.refuse_change() returns trigger
    language plpgsql set search_path = pg_catalog as
$$
begin
    raise exception 'the list of destroyed keys is append-only: % refused', tg_op using errcode = 'insufficient_privilege';
end
$$;
create trigger append_only before update or delete on vault.destroyed_keys
    for each row execute function vault.refuse_change();
create trigger append_only_truncate before truncate on vault.destroyed_keys
    for each statement execute function vault.refuse_change();

create function vault.data_keys_of(tenant uuid) returns table (generation integer, wrapped bytea, wrapped_by text)
    language sql stable security definer set search_path = pg_catalog rows 1 as
$$
select k.generation, k.wrapped, k.wrapped_by from vault.data_keys k where k.tenant_id = tenant
$$;

-- One data key of each key-encryption key.
create function vault.samples() returns table (tenant_id uuid, generation integer, wrapped bytea, wrapped_by text)
    language sql stable security definer set search_path = pg_catalog rows 1 as
$$
select distinct on (k.wrapped_by) k.tenant_id, k.generation, k.wrapped, k.wrapped_by
from vault.data_keys k order by k.wrapped_by, k.tenant_id, k.generation
$$;

-- Lets a process seal `block` texts with the newest generation, and answers which that is; null if there is none that may
-- seal so many, and a fresh one must be made.
create function vault.reserve(tenant uuid, block bigint, at_most bigint) returns integer
    language sql security definer set search_path = pg_catalog as
$$
update vault.data_keys k
set seals_reserved = k.seals_reserved + block
where k.tenant_id = tenant
  and k.generation = (select max(n.generation) from vault.data_keys n where n.tenant_id = tenant)
  and k.seals_reserved + block <= at_most
returning k.generation
$$;

-- The first who makes a generation has made it.
create function vault.add_data_key(tenant uuid, new_generation integer, new_wrapped bytea, by text) returns void
    language sql security definer set search_path = pg_catalog as
$$
insert into vault.data_keys (tenant_id, generation, wrapped, wrapped_by)
values (tenant, new_generation, new_wrapped, by)
on conflict do nothing
$$;

create function vault.subject_keys_of(tenants uuid[], subjects uuid[])
    returns table (tenant_id uuid, subject_id uuid, generation integer, wrapped bytea)
    language plpgsql stable security definer set search_path = pg_catalog
    set plan_cache_mode = force_generic_plan set enable_seqscan = off rows 100 as
$$
#variable_conflict use_column
begin
    return query
        select k.*
        from unnest(tenants, subjects) as a(tenant_id, subject_id)
                 cross join lateral (
            select *
            from vault.subject_keys k
            where k.tenant_id = a.tenant_id and k.subject_id = a.subject_id
            -- Keeps it a subquery.
            offset 0
            ) k;
end
$$;

-- How long the list of destroyed keys is, as a row without a subject, and what came on it after `at`; only the first of
-- both if that is null. The list grows in the order of commits, because whoever adds to it holds a lock until then.
create function vault.destroyed_after(at bigint) returns table (serial bigint, tenant_id uuid, subject_id uuid)
    language sql stable security definer set search_path = pg_catalog rows 1 as
$$
select coalesce(max(d.serial), 0), null::uuid, null::uuid from vault.destroyed_keys d
union all
select d.serial, d.tenant_id, d.subject_id from vault.destroyed_keys d where d.serial > at
$$;

create function vault.destroy_key(tenant uuid, subject uuid, which integer) returns boolean
    language plpgsql security definer set search_path = pg_catalog as
$$
begin
    perform pg_advisory_xact_lock(hashtextextended('vault.destroyed_keys', 0));
    if not exists (select from vault.destroyed_keys d
                   where d.tenant_id = tenant and d.subject_id = subject and d.generation = which) then
        insert into vault.destroyed_keys (tenant_id, subject_id, generation) values (tenant, subject, which);
    end if;
    update vault.subject_keys k
    set wrapped = null
    where k.tenant_id = tenant and k.subject_id = subject and k.generation = which and k.wrapped is not null;
    return found;
end
$$;

create function vault.destroy_subject(tenant uuid, subject uuid) returns bigint
    language plpgsql security definer set search_path = pg_catalog as
$$
declare
    destroyed bigint;
begin
    perform pg_advisory_xact_lock(hashtextextended('vault.destroyed_keys', 0));
    with gone as (
        update vault.subject_keys k
            set wrapped = null
            where k.tenant_id = tenant and k.subject_id = subject and k.wrapped is not null
            returning k.generation
    ),
         listed as (
             insert into vault.destroyed_keys (tenant_id, subject_id, generation)
                 select tenant, subject, gone.generation from gone order by gone.generation
         )
    select count(*) into destroyed from gone;
    return destroyed;
end
$$;

do
$$
declare
    f regprocedure;
begin
    for f in select p.oid::regprocedure from pg_proc p where p.pronamespace = 'vault'::regnamespace loop
        execute format('revoke execute on function %s from public', f);
    end loop;
end
$$;
grant execute on function vault.data_keys_of(uuid), vault.samples(), vault.subject_keys_of(uuid[], uuid[]),
    vault.destroyed_after(bigint) to ubos_command, ubos_query, ubos_worker;
grant execute on function vault.reserve(uuid, bigint, bigint), vault.add_data_key(uuid, integer, bytea, text)
    to ubos_command, ubos_worker;
grant execute on function vault.destroy_key(uuid, uuid, integer), vault.destroy_subject(uuid, uuid) to ubos_worker;
