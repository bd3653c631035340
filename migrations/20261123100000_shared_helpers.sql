-- Words that every schema uses: which tenant a session speaks for, and how a tenant's table is protected.
-- Roles exist before the first migration runs (`ubos migrate` creates them); this file only grants.

create schema shared;
grant usage on schema shared to ubos_command, ubos_query, ubos_worker;

-- The tenant of the present transaction. After a transaction-local setting has ended, PostgreSQL reports '' and not
-- null, hence the nullif.
create function shared.tenant_id() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('ubos.tenant_id', true), '')::uuid;

-- Row-level security for one tenant table: owners are not exempt, command and query see one tenant, workers see all.
-- `readers` and `writers` say who may do what besides; nobody gets truncate.
create function shared.secure_tenant_table(target regclass, readers text[], writers text[]) returns void
    language plpgsql as
$$
declare
    reader text;
    writer text;
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    -- The scalar sub-select makes it one InitPlan instead of a call per row.
    execute format(
        'create policy tenant on %s to ubos_command, ubos_query
         using (tenant_id = (select nullif(current_setting(''ubos.tenant_id'', true), '''')::uuid))
         with check (tenant_id = (select nullif(current_setting(''ubos.tenant_id'', true), '''')::uuid))', target);
    execute format('create policy every_tenant on %s to ubos_worker, ubos_owner using (true) with check (true)', target);
    foreach reader in array readers loop
        execute format('grant select on %s to %I', target, reader);
    end loop;
    foreach writer in array writers loop
        execute format('grant select, insert, update, delete on %s to %I', target, writer);
    end loop;
end
$$;
revoke execute on function shared.secure_tenant_table(regclass, text[], text[]) from public;
