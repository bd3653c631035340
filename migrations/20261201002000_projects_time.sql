-- What engagement a project is a part of, what it is about and how soon it is wanted; time that was worked, and what it comes to. What time
-- costs is in a table of its own, because who may see a project need not see its money.
alter table projects.projects add column engagement_id uuid;
alter table projects.projects add column description text;
alter table projects.projects add column priority text not null default 'normal';
create index projects_engagement on projects.projects (tenant_id, engagement_id, created_at, id) where engagement_id is not null;
create index projects_priority on projects.projects (tenant_id, priority, created_at, id);
alter table projects.tasks add column priority text not null default 'normal';
create index tasks_priority on projects.tasks (tenant_id, priority, created_at, id);
