-- Whose turn it is: emails and links are sent firm by firm, so that what one firm asks for holds up nobody else's.

-- When something of a firm was last taken to be sent.
create table mail.turns
(
    tenant_id uuid        not null primary key,
    taken_at  timestamptz not null
) with (fillfactor = 50);
select shared.secure_tenant_table('mail.turns', '{}', '{ubos_worker}');

drop index mail.emails_due;
create index emails_due on mail.emails (tenant_id, due_at) where state = 'due';

-- A request is given up when sending it was tried for long enough, and never because others were before it.
alter table login.portal_requests add column tried_since timestamptz;
-- Whether the log was asked for the address; who has none asks for nothing.
alter table login.portal_requests add column is_known boolean not null default false;
drop index login.portal_requests_due;
create index portal_requests_due on login.portal_requests (tenant_id, due_at) where due_at is not null and is_known;
create index portal_requests_new on login.portal_requests (asked_at) where due_at is not null and not is_known;

-- Who asks again keeps the place in the queue.
create or replace function login.ask_for_magic_link(tenant uuid, address bytea) returns void
    language sql volatile security definer set search_path = pg_catalog as
$$
    insert into login.portal_requests as r (tenant_id, address_hash) values (tenant, address)
    on conflict (tenant_id, address_hash) do update
    set asked_at = now(), due_at = least(coalesce(r.due_at, now()), now()), tried_since = null, is_known = false
    where r.asked_at < now() - interval '1 minute'
$$;
