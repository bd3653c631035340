-- What is to be invoiced after a task, and what came while its plan was not active.
alter table revenue.plan_entries add column task_id uuid;
alter table revenue.plan_entries add column reached boolean not null default false;
create index plan_entries_task on revenue.plan_entries (tenant_id, task_id, created_at, id) where task_id is not null;
