-- The firms that the log knows, by jumps in the index from one to the next. Whoever decides about who comes in keeps them in
-- memory, so that a firm that somebody made up costs no question.
create function eventstore.access_tenants() returns setof uuid
    language sql stable security definer set search_path = pg_catalog as
$$
    with recursive known as (
        (select tenant_id from eventstore.streams order by tenant_id limit 1)
        union all
        select (select s.tenant_id from eventstore.streams s where s.tenant_id > k.tenant_id order by s.tenant_id limit 1)
        from known k where k.tenant_id is not null)
    select tenant_id from known where tenant_id is not null
$$;

revoke execute on function eventstore.access_tenants() from public;
grant execute on function eventstore.access_tenants() to ubos_command, ubos_query, ubos_worker;
