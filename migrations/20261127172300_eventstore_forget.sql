-- What stands beside the log of streams that were erased. Snapshots are sealed with a key that is gone; a claim on an
-- address is what the address hashes to, and makes it free; a stored answer tells what a body hashes to.
create function eventstore.forget(tenant uuid, streams uuid[]) returns bigint
    language sql security definer set search_path = pg_catalog as
$$
with snapshots as (
    delete from eventstore.snapshots s where s.tenant_id = tenant and s.aggregate_id = any (streams) returning 1
),
     claims as (
         delete from eventstore.claims c
             where c.tenant_id = tenant and c.aggregate_id = any (streams) and c.value like 'hmac1.%'
             returning 1
     ),
     answers as (
         delete from eventstore.idempotency i where i.tenant_id = tenant and i.aggregate_id = any (streams) returning 1
     )
select (select count(*) from snapshots) + (select count(*) from claims) + (select count(*) from answers)
$$;
revoke execute on function eventstore.forget(uuid, uuid[]) from public;
grant execute on function eventstore.forget(uuid, uuid[]) to ubos_worker;

-- Writes what a value hashes to in the place of one that was claimed before there was a vault. False if it is claimed so
-- already, or not any more.
create function eventstore.hash_claim(tenant uuid, of_scope text, plain text, hashed text) returns boolean
    language plpgsql security definer set search_path = pg_catalog as
$$
begin
    -- Nobody appends meanwhile.
    perform 1 from eventstore.head h where h.shard = 0 for update;
    update eventstore.claims c
    set value = hashed
    where c.tenant_id = tenant and c.scope = of_scope and c.value = plain
      and not exists (select from eventstore.claims o
                      where o.tenant_id = tenant and o.scope = of_scope and o.value = hashed);
    return found;
end
$$;
revoke execute on function eventstore.hash_claim(uuid, text, text, text) from public;
grant execute on function eventstore.hash_claim(uuid, text, text, text) to ubos_worker;
