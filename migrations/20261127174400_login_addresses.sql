-- Which firms know a person, by what the person's address hashes to, so that nobody has to name their firm to log in. Made
-- from the log, like the addresses of portal users.
create table login.addresses
(
    address_hash bytea not null,
    tenant_id    uuid  not null,
    user_id      uuid  not null,
    primary key (address_hash, tenant_id, user_id)
);
select shared.secure_tenant_table('login.addresses', '{}', '{ubos_worker}');

-- Every firm's user with an address that a provider has verified; what the log says of each is asked next.
create function login.firms_of(address bytea) returns table (tenant_id uuid, user_id uuid)
    language sql stable security definer set search_path = pg_catalog as
$$
    select a.tenant_id, a.user_id from login.addresses a where a.address_hash = address order by 1, 2 limit 100
$$;
revoke execute on function login.firms_of(bytea) from public;
grant execute on function login.firms_of(bytea) to ubos_command;
