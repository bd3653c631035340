-- Every filter and every order of projects, their parts and their templates has an index in which the page stands in its order: the tenant,
-- the column, then what decides between rows that have the same in it. What had less of that is replaced (docs/adr/0039).
drop index projects.projects_client;
drop index projects.tasks_assignee;
drop index projects.tasks_due;

create index milestones_updated on projects.milestones (tenant_id, updated_at, id);
create index milestones_status on projects.milestones (tenant_id, status, created_at, id);
create index milestones_due_on on projects.milestones (tenant_id, due_on, id) where due_on is not null;
create index project_templates_updated on projects.project_templates (tenant_id, updated_at, id);
create index projects_updated on projects.projects (tenant_id, updated_at, id);
create index projects_client on projects.projects (tenant_id, client_id, created_at, id) where client_id is not null;
create index projects_template on projects.projects (tenant_id, template, created_at, id) where template is not null;
create index projects_starts_on on projects.projects (tenant_id, starts_on, id);
create index tasks_updated on projects.tasks (tenant_id, updated_at, id);
create index tasks_milestone on projects.tasks (tenant_id, milestone_id, created_at, id) where milestone_id is not null;
create index tasks_status on projects.tasks (tenant_id, status, created_at, id);
create index tasks_due_on on projects.tasks (tenant_id, due_on, id) where due_on is not null;
create index tasks_role on projects.tasks (tenant_id, role, created_at, id) where role is not null;
create index tasks_assignee on projects.tasks (tenant_id, assignee_id, created_at, id) where assignee_id is not null;
