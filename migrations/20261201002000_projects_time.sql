-- What engagement a project is a part of, what it is about and how soon it is wanted; time that was worked, and what it comes to. What time
-- costs is in a table of its own, because who may see a project need not see its money.
alter table projects.projects add column engagement_id uuid;
alter table projects.projects add column description text;
alter table projects.projects add column priority text collate "C" not null default 'normal';
create index projects_engagement on projects.projects (tenant_id, engagement_id, created_at, id) where engagement_id is not null;
create index projects_priority on projects.projects (tenant_id, priority, created_at, id);
alter table projects.tasks add column priority text collate "C" not null default 'normal';
create index tasks_priority on projects.tasks (tenant_id, priority, created_at, id);

create table projects.time_entries
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    project_id uuid not null,
    client_id uuid,
    user_id uuid not null,
    task_id uuid,
    date date not null,
    minutes bigint not null,
    description text,
    billable boolean not null,
    status text collate "C" not null,
    currency text,
    hourly_rate_minor bigint,
    amount_minor bigint,
    rejection_reason text,
    invoice_id uuid,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index time_entries_created on projects.time_entries (tenant_id, created_at, id);
create index time_entries_updated on projects.time_entries (tenant_id, updated_at, id);
create index time_entries_project on projects.time_entries (tenant_id, project_id, created_at, id);
create index time_entries_client on projects.time_entries (tenant_id, client_id, created_at, id) where client_id is not null;
create index time_entries_user on projects.time_entries (tenant_id, user_id, created_at, id);
create index time_entries_task on projects.time_entries (tenant_id, task_id, created_at, id) where task_id is not null;
create index time_entries_date on projects.time_entries (tenant_id, date, id);
create index time_entries_billable on projects.time_entries (tenant_id, billable, created_at, id);
create index time_entries_status on projects.time_entries (tenant_id, status, created_at, id);
create index time_entries_invoice on projects.time_entries (tenant_id, invoice_id, created_at, id) where invoice_id is not null;
select projections.register('projects.time_entries');

create table projects.budgets
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text collate shared.by_name not null,
    client_id uuid,
    engagement_id uuid,
    currency text,
    hourly_rate_minor bigint,
    user_rates jsonb not null,
    budget_minutes bigint,
    budget_minor bigint,
    budget_percent bigint not null,
    spent_minutes bigint not null,
    spent_minor bigint not null,
    threshold_minutes bigint,
    threshold_minor bigint,
    threshold_reached boolean not null,
    unbilled_minutes bigint not null,
    unbilled_minor bigint not null,
    archived boolean not null,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index budgets_created on projects.budgets (tenant_id, created_at, id);
create index budgets_updated on projects.budgets (tenant_id, updated_at, id);
create index budgets_name on projects.budgets (tenant_id, name, id);
create index budgets_name_folded on projects.budgets (tenant_id, name collate shared.folded);
create index budgets_client on projects.budgets (tenant_id, client_id, created_at, id) where client_id is not null;
create index budgets_engagement on projects.budgets (tenant_id, engagement_id, created_at, id) where engagement_id is not null;
create index budgets_budget_percent on projects.budgets (tenant_id, budget_percent, created_at, id);
create index budgets_threshold_reached on projects.budgets (tenant_id, threshold_reached, created_at, id);
create index budgets_unbilled_minutes on projects.budgets (tenant_id, unbilled_minutes, id);
select projections.register('projects.budgets');
