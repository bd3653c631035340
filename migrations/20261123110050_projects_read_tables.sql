-- The read tables of projects: projects, their milestones and tasks, and the templates they are made from.
-- Column order is the order of the row types.

create schema projects;

create table projects.projects
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text not null,
    client_id uuid,
    template text,
    status text not null,
    starts_on date not null,
    reason text,
    milestone_count bigint not null,
    task_count bigint not null,
    completed_at timestamptz,
    archived boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index projects_created on projects.projects (tenant_id, created_at, id);
create index projects_name on projects.projects (tenant_id, name, id);
create index projects_client on projects.projects (tenant_id, client_id, id) where client_id is not null;
create index projects_status on projects.projects (tenant_id, status, created_at, id);
select projections.register('projects.projects');

create table projects.tasks
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    project_id uuid not null,
    milestone_id uuid,
    title text not null,
    description text,
    status text not null,
    due_on date,
    role text,
    assignee_id uuid,
    blocked_reason text,
    completed_at timestamptz,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index tasks_created on projects.tasks (tenant_id, created_at, id);
create index tasks_project on projects.tasks (tenant_id, project_id, created_at, id);
create index tasks_assignee on projects.tasks (tenant_id, assignee_id, due_on) where assignee_id is not null;
create index tasks_due on projects.tasks (tenant_id, due_on) where due_on is not null;
select projections.register('projects.tasks');

create table projects.milestones
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    project_id uuid not null,
    name text not null,
    status text not null,
    due_on date,
    completed_at timestamptz,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index milestones_created on projects.milestones (tenant_id, created_at, id);
create index milestones_project on projects.milestones (tenant_id, project_id, created_at, id);
select projections.register('projects.milestones');

create table projects.project_templates
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    key text not null,
    name text not null,
    milestones jsonb not null,
    tasks jsonb not null,
    retired boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index project_templates_created on projects.project_templates (tenant_id, created_at, id);
create index project_templates_key on projects.project_templates (tenant_id, key, id);
select projections.register('projects.project_templates');
