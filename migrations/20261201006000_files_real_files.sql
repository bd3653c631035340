-- The read tables of files: files of which a version can be downloaded, their versions, uploads on their way or come to nothing, and
-- what clients are asked for. Clients see a request and its items once they were asked, hence `asked_client_id`.

create table files.files
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text collate shared.by_name not null,
    folder_id uuid,
    subfolder_id uuid,
    client_id uuid,
    project_id uuid,
    status text collate "C" not null,
    version_id uuid not null,
    versions bigint not null,
    size bigint not null,
    content_type text not null,
    sha256 text not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index files_created on files.files (tenant_id, created_at, id);
create index files_updated on files.files (tenant_id, updated_at, id);
create index files_name on files.files (tenant_id, name, id);
create index files_name_folded on files.files (tenant_id, name collate shared.folded);
create index files_folder on files.files (tenant_id, folder_id, created_at, id) where folder_id is not null;
create index files_subfolder on files.files (tenant_id, subfolder_id, created_at, id) where subfolder_id is not null;
create index files_client on files.files (tenant_id, client_id, created_at, id) where client_id is not null;
create index files_project on files.files (tenant_id, project_id, created_at, id) where project_id is not null;
create index files_status on files.files (tenant_id, status, created_at, id);
create index files_content_type on files.files (tenant_id, content_type, created_at, id);
create index files_sha256 on files.files (tenant_id, sha256, created_at, id);
select projections.register('files.files');
create table files.file_versions
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    file_id uuid not null,
    number bigint not null,
    size bigint not null,
    content_type text not null,
    sha256 text not null,
    client_id uuid,
    project_id uuid,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index file_versions_created on files.file_versions (tenant_id, created_at, id);
create index file_versions_file on files.file_versions (tenant_id, file_id, created_at, id);
create index file_versions_sha256 on files.file_versions (tenant_id, sha256, created_at, id);
create index file_versions_client on files.file_versions (tenant_id, client_id, created_at, id) where client_id is not null;
create index file_versions_project on files.file_versions (tenant_id, project_id, created_at, id) where project_id is not null;
select projections.register('files.file_versions');
create table files.uploads
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    file_id uuid not null,
    status text collate "C" not null,
    size bigint not null,
    content_type text not null,
    sha256 text not null,
    part_size bigint,
    expires_at timestamptz not null,
    reason text collate "C",
    detail text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index uploads_created on files.uploads (tenant_id, created_at, id);
create index uploads_updated on files.uploads (tenant_id, updated_at, id);
create index uploads_file on files.uploads (tenant_id, file_id, created_at, id);
create index uploads_status on files.uploads (tenant_id, status, created_at, id);
create index uploads_expires on files.uploads (tenant_id, expires_at, id);
create index uploads_reason on files.uploads (tenant_id, reason, created_at, id) where reason is not null;
select projections.register('files.uploads');
create table files.file_requests
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    title text collate shared.by_name not null,
    client_id uuid not null,
    project_id uuid,
    folder_id uuid,
    message text,
    due_on date,
    status text collate "C" not null,
    sent_at timestamptz,
    completed_at timestamptz,
    reminded_at timestamptz,
    asked_client_id uuid,
    asked_project_id uuid,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index file_requests_created on files.file_requests (tenant_id, created_at, id);
create index file_requests_updated on files.file_requests (tenant_id, updated_at, id);
create index file_requests_title on files.file_requests (tenant_id, title, id);
create index file_requests_title_folded on files.file_requests (tenant_id, title collate shared.folded);
create index file_requests_client on files.file_requests (tenant_id, client_id, created_at, id);
create index file_requests_project on files.file_requests (tenant_id, project_id, created_at, id) where project_id is not null;
create index file_requests_folder on files.file_requests (tenant_id, folder_id, created_at, id) where folder_id is not null;
create index file_requests_due_on on files.file_requests (tenant_id, due_on, id) where due_on is not null;
create index file_requests_status on files.file_requests (tenant_id, status, created_at, id);
create index file_requests_asked_client on files.file_requests (tenant_id, asked_client_id, created_at, id) where asked_client_id is not null;
create index file_requests_asked_project on files.file_requests (tenant_id, asked_project_id, created_at, id) where asked_project_id is not null;
select projections.register('files.file_requests');
create table files.request_items
(
    tenant_id uuid not null,
    position bigint not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    file_request_id uuid not null,
    name text collate shared.by_name not null,
    description text,
    required boolean not null,
    status text collate "C" not null,
    file_id uuid,
    reason text,
    asked_client_id uuid,
    asked_project_id uuid,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index request_items_created on files.request_items (tenant_id, created_at, id);
create index request_items_updated on files.request_items (tenant_id, updated_at, id);
create index request_items_file_request on files.request_items (tenant_id, file_request_id, created_at, id);
create index request_items_status on files.request_items (tenant_id, status, created_at, id);
create index request_items_file on files.request_items (tenant_id, file_id, created_at, id) where file_id is not null;
create index request_items_asked_client on files.request_items (tenant_id, asked_client_id, created_at, id) where asked_client_id is not null;
create index request_items_asked_project on files.request_items (tenant_id, asked_project_id, created_at, id) where asked_project_id is not null;
select projections.register('files.request_items');
