-- What clients are asked for in their portal: things to do, and whether they approve of something.
create table portal.client_tasks
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    client_id uuid not null,
    portal_user_id uuid,
    project_id uuid,
    title text collate shared.by_name not null,
    description text,
    due_on date,
    status text collate "C" not null,
    note text,
    return_reason text,
    submitted_at timestamptz,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index client_tasks_created on portal.client_tasks (tenant_id, created_at, id);
create index client_tasks_updated on portal.client_tasks (tenant_id, updated_at, id);
create index client_tasks_client on portal.client_tasks (tenant_id, client_id, created_at, id);
create index client_tasks_portal_user on portal.client_tasks (tenant_id, portal_user_id, created_at, id) where portal_user_id is not null;
create index client_tasks_project on portal.client_tasks (tenant_id, project_id, created_at, id) where project_id is not null;
create index client_tasks_title on portal.client_tasks (tenant_id, title, id);
create index client_tasks_title_folded on portal.client_tasks (tenant_id, title collate shared.folded);
create index client_tasks_due_on on portal.client_tasks (tenant_id, due_on, id) where due_on is not null;
create index client_tasks_status on portal.client_tasks (tenant_id, status, created_at, id);
select projections.register('portal.client_tasks');

create table portal.client_approvals
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    client_id uuid not null,
    portal_user_id uuid,
    project_id uuid,
    subject_kind text collate "C" not null,
    subject_id uuid not null,
    title text collate shared.by_name not null,
    message text,
    expires_at timestamptz,
    status text collate "C" not null,
    decided_by uuid,
    decided_at timestamptz,
    reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index client_approvals_created on portal.client_approvals (tenant_id, created_at, id);
create index client_approvals_updated on portal.client_approvals (tenant_id, updated_at, id);
create index client_approvals_client on portal.client_approvals (tenant_id, client_id, created_at, id);
create index client_approvals_portal_user on portal.client_approvals (tenant_id, portal_user_id, created_at, id) where portal_user_id is not null;
create index client_approvals_project on portal.client_approvals (tenant_id, project_id, created_at, id) where project_id is not null;
create index client_approvals_subject_kind on portal.client_approvals (tenant_id, subject_kind, created_at, id);
create index client_approvals_subject on portal.client_approvals (tenant_id, subject_id, created_at, id);
create index client_approvals_title on portal.client_approvals (tenant_id, title, id);
create index client_approvals_title_folded on portal.client_approvals (tenant_id, title collate shared.folded);
create index client_approvals_expires on portal.client_approvals (tenant_id, expires_at, id) where expires_at is not null;
create index client_approvals_status on portal.client_approvals (tenant_id, status, created_at, id);
select projections.register('portal.client_approvals');
