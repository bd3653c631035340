-- Every filter and every order of folders and their templates has an index in which the page stands in its order: the tenant,
-- the column, then what decides between rows that have the same in it. What had less of that is replaced (docs/adr/0039).
drop index files.folders_client;
drop index files.folders_project;

create index folder_templates_updated on files.folder_templates (tenant_id, updated_at, id);
create index folders_updated on files.folders (tenant_id, updated_at, id);
create index folders_client on files.folders (tenant_id, client_id, created_at, id) where client_id is not null;
create index folders_project on files.folders (tenant_id, project_id, created_at, id) where project_id is not null;
create index folders_template on files.folders (tenant_id, template, created_at, id) where template is not null;
