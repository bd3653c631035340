-- A record is read like a list: column by column, in a statement of query-api's own. The functions that made it JSON,
-- for query-api to read and write again, go.
create or replace function projections.register(target regclass) returns void
    language plpgsql as
$$
declare
    grp  text;
    name text;
begin
    select n.nspname, c.relname into grp, name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = target;
    insert into projections.tables values (grp, name);
    insert into projections.checkpoints (group_name, slot) values (grp, 'live')
    on conflict (group_name, slot) do update set version = 0 where checkpoints.position > 0;
    execute format('grant usage on schema %I to ubos_query, ubos_worker', grp);
    perform shared.secure_tenant_table(target, '{ubos_query}', '{ubos_worker}');
end
$$;

do
$$
declare
    t record;
begin
    for t in select * from projections.tables loop
        execute format('drop function %I.%I(uuid, uuid)', t.group_name, t.table_name || '_by_id');
    end loop;
end
$$;
