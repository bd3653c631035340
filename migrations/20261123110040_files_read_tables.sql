-- The read tables of files: folder trees, and the templates they are made from.
-- Column order is the order of the row types.

create schema files;

create table files.folders
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text not null,
    client_id uuid,
    project_id uuid,
    template text,
    subfolders jsonb not null,
    archived boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index folders_created on files.folders (tenant_id, created_at, id);
create index folders_name on files.folders (tenant_id, name, id);
create index folders_client on files.folders (tenant_id, client_id, id) where client_id is not null;
create index folders_project on files.folders (tenant_id, project_id, id) where project_id is not null;
select projections.register('files.folders');

create table files.folder_templates
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    key text not null,
    name text not null,
    paths jsonb not null,
    retired boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index folder_templates_created on files.folder_templates (tenant_id, created_at, id);
create index folder_templates_key on files.folder_templates (tenant_id, key, id);
select projections.register('files.folder_templates');
