-- The read tables of workflow: definitions, runs and steps, with the columns that the founding document names.
-- Column order is the order of the row types.

create schema workflow;

create table workflow.workflows
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text not null,
    description text,
    trigger_event_type text not null,
    conditions jsonb,
    actions jsonb,
    retry_policy jsonb,
    enabled boolean not null,
    definition_version bigint not null,
    definition_hash text not null,
    retired boolean not null,
    reason text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index workflows_created on workflow.workflows (tenant_id, created_at, id);
create index workflows_name on workflow.workflows (tenant_id, name, id);
select projections.register('workflow.workflows');

create table workflow.runs
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    workflow_id uuid not null,
    workflow_name text not null,
    definition_version bigint not null,
    trigger_event_id uuid not null,
    trigger_event_type text not null,
    trigger_aggregate_id uuid not null,
    correlation_id uuid not null,
    status text not null,
    action_index bigint not null,
    action_count bigint not null,
    started_at timestamptz not null,
    completed_at timestamptz,
    error_code text,
    error text,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index runs_created on workflow.runs (tenant_id, created_at, id);
create index runs_started on workflow.runs (tenant_id, started_at, id);
create index runs_workflow on workflow.runs (tenant_id, workflow_id, created_at, id);
create index runs_status on workflow.runs (tenant_id, status, created_at, id);
create index runs_correlation on workflow.runs (tenant_id, correlation_id);
select projections.register('workflow.runs');

create table workflow.run_steps
(
    tenant_id  uuid        not null,
    position   bigint      not null,
    id         uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    run_id uuid not null,
    action_index bigint not null,
    step text not null,
    status text not null,
    attempts bigint not null,
    result jsonb,
    error_code text,
    error text,
    started_at timestamptz,
    completed_at timestamptz,
    due_at timestamptz,
    primary key (tenant_id, id)
) with (fillfactor = 85);
create index run_steps_created on workflow.run_steps (tenant_id, created_at, id);
create index run_steps_run on workflow.run_steps (tenant_id, run_id, action_index, id);
select projections.register('workflow.run_steps');
