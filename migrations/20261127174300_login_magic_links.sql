-- How portal users come in: by a link in an email. What the link shows is random and stands nowhere; here is only what it
-- hashes to. No address stands here either.

create schema login;
grant usage on schema login to ubos_command, ubos_worker;

-- Which portal users have an address, by what firm and address hash to.
create table login.portal_addresses
(
    tenant_id      uuid  not null,
    address_hash   bytea not null,
    portal_user_id uuid  not null,
    primary key (tenant_id, address_hash, portal_user_id)
);
select shared.secure_tenant_table('login.portal_addresses', '{}', '{ubos_worker}');

-- Addresses that asked for a link. Those that are somebody's become jobs, all of them in one statement, however many they are; who
-- has none asks for nothing. A row lives for an hour.
create table login.portal_requests
(
    tenant_id    uuid        not null,
    address_hash bytea       not null,
    asked_at     timestamptz not null default now(),
    is_open      boolean     not null default true,
    primary key (tenant_id, address_hash)
);
create index portal_requests_open on login.portal_requests (asked_at) where is_open;
create index portal_requests_asked on login.portal_requests (asked_at);
select shared.secure_tenant_table('login.portal_requests', '{}', '{ubos_worker}');

-- One link per portal user and purpose, so that a newer one makes the older void.
create table login.magic_links
(
    tenant_id      uuid        not null,
    portal_user_id uuid        not null,
    purpose        text        not null check (purpose in ('login')),
    secret_hash    bytea       not null,
    made_at        timestamptz not null default now(),
    expires_at     timestamptz not null,
    used_at        timestamptz,
    primary key (tenant_id, portal_user_id, purpose)
);
select shared.secure_tenant_table('login.magic_links', '{}', '{ubos_worker}');

-- Asks for a link. The same work whoever has the address, and nothing new for a minute after the last time.
create function login.ask_for_magic_link(tenant uuid, address bytea) returns void
    language sql volatile security definer set search_path = pg_catalog as
$$
    insert into login.portal_requests as r (tenant_id, address_hash) values (tenant, address)
    on conflict (tenant_id, address_hash) do update set asked_at = now(), is_open = true
    where r.asked_at < now() - interval '1 minute'
$$;

-- Uses a link up. True for whoever comes first, before it ends, if nothing has kept the person out since it was made.
create function login.use_magic_link(tenant uuid, portal_user uuid, secret bytea) returns boolean
    language sql volatile security definer set search_path = pg_catalog as
$$
    with used as (
        update login.magic_links l set used_at = now()
        where l.tenant_id = tenant and l.portal_user_id = portal_user and l.purpose = 'login'
          and l.secret_hash = secret and l.used_at is null and l.expires_at > now()
          and not exists (
              select from eventstore.events e
              where e.tenant_id = tenant and e.aggregate_id = portal_user and e.domain = 'portal'
                and e.event_type in ('portal_user.locked', 'portal_user.disabled', 'portal_user.invitation_revoked')
                and e.recorded_at >= l.made_at)
        returning 1)
    select exists (select from used)
$$;

revoke execute on function login.ask_for_magic_link(uuid, bytea), login.use_magic_link(uuid, uuid, bytea) from public;
grant execute on function login.ask_for_magic_link(uuid, bytea), login.use_magic_link(uuid, uuid, bytea) to ubos_command;
