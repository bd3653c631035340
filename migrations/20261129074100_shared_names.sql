-- Lists by name are in the order that people expect: letters before their case and accents, `Ångström` by `A`, `10` after
-- `2`. What two names that this order holds equal differ in decides byte by byte, so an order by name and id stays total and
-- a page can begin after any row.
create collation shared.by_name (provider = icu, locale = 'und-u-kn', deterministic = true);
-- When a name is asked for, case and the way accents are written do not count; accents do.
create collation shared.folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
grant usage on schema shared to ubos_query, ubos_worker, ubos_command;

-- Every name and title of a read table is of that collation, so that its index, its order and the comparison with the last
-- row of a page agree; and lists by it have an index. Tables beside the live ones are of the old one and go.
do
$$
declare
    t      record;
    target text;
begin
    for t in
        select distinct r.group_name from projections.tables r
    loop
        perform projections.discard(t.group_name, 'next');
        perform projections.discard(t.group_name, 'previous');
    end loop;
    for t in
        select r.group_name, r.table_name, a.attname
        from projections.tables r
                 join pg_attribute a on a.attrelid = format('%I.%I', r.group_name, r.table_name)::regclass
        where a.attname in ('name', 'title', 'workflow_name') and a.atttypid = 'text'::regtype and not a.attisdropped
    loop
        target := format('%I.%I', t.group_name, t.table_name);
        execute format('alter table %s alter column %I type text collate shared.by_name', target, t.attname);
        if t.attname <> 'workflow_name' and not exists (select
                       from pg_index i
                       where i.indrelid = target::regclass and i.indnkeyatts = 3
                         and pg_get_indexdef(i.indexrelid, 2, false) = t.attname) then
            execute format('create index %I on %s (tenant_id, %I, id)', t.table_name || '_' || t.attname, target, t.attname);
        end if;
        execute format('create index %I on %s (tenant_id, %I collate shared.folded)',
                       t.table_name || '_' || t.attname || '_folded', target, t.attname);
    end loop;
end
$$;
