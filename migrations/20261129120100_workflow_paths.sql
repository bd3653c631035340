-- Runs and their steps as they are told now: by path, with the words of the events. Everything here is folded from the log again.

alter table workflow.runs
    drop column action_index,
    drop column action_count,
    add column step_count bigint not null default 0,
    add column waiting_at jsonb not null default '[]',
    add column parked_at jsonb not null default '[]',
    add column compensating boolean not null default false,
    add column parent_run_id uuid;

drop index workflow.run_steps_run;
alter table workflow.run_steps
    drop column action_index,
    add column place bigint not null default 0;
create index run_steps_run on workflow.run_steps (tenant_id, run_id, place, id);

create table workflow.approvals
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    run_id uuid not null,
    step text not null,
    status text not null,
    question text,
    approvers jsonb not null,
    quorum bigint not null,
    granted_by jsonb not null,
    rejected_by jsonb,
    delegates jsonb not null,
    escalated boolean not null,
    reminded bigint not null,
    due_at timestamptz,
    decided_at timestamptz,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index approvals_created on workflow.approvals (tenant_id, created_at, id);
create index approvals_status on workflow.approvals (tenant_id, status, created_at, id);
create index approvals_run on workflow.approvals (tenant_id, run_id, id);
select projections.register('workflow.approvals');
